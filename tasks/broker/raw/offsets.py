"""ListOffsets: the log start, the end or another offset of many partitions, with one request for each leader."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from enum import IntEnum
from typing import Any

from tasks.broker.error_codes import ErrorCode
from tasks.broker.log_values import OffsetAnswers, Which
from tasks.broker.messages.api_keys import ApiKey
from tasks.broker.messages.isolation import IsolationLevel
from tasks.broker.messages.wire import ListOffsetsRequest
from tasks.broker.raw.cluster import Cluster, no_leader_error
from tasks.broker.raw.required_versions import LIST_OFFSETS_VERSIONS
from tasks.broker.retry import RetryDeadline
from tasks.broker.translation import Action, Permission, error_for_code
from tasks.model.errors import BrokerUnavailableError, KafkaBackupError
from tasks.model.partition import Partition

_FIRST_WITH_MAX_TIMESTAMP = 7


class _Timestamp(IntEnum):
    """Special timestamps of ListOffsets (`ListOffsetsRequest` of Kafka)."""

    LATEST = -1
    EARLIEST = -2
    MAX_TIMESTAMP = -3


_TIMESTAMPS: dict[Which, _Timestamp] = {
    "earliest": _Timestamp.EARLIEST,
    "latest": _Timestamp.LATEST,
    "last_stable": _Timestamp.LATEST,
    "max_timestamp": _Timestamp.MAX_TIMESTAMP,
}


def list_offsets(cluster: Cluster, partitions: Collection[Partition], which: Which) -> OffsetAnswers:
    """See `LogReader.list_offsets`.

    The request contains topic names and no ids. So the leaders are looked up by id before and after it: a re-created
    topic gets a `TopicGoneError`, and never the offset of another log.
    """
    answers = OffsetAnswers()
    deadline = RetryDeadline(cluster.options.deadline_ms, cluster.stop)
    missing = list(dict.fromkeys(partitions))
    while missing:
        errors = _request_once(cluster, missing, which, answers)
        missing = [partition for partition in missing if partition in errors]
        if missing:
            cluster.forget(missing)
            if not deadline.wait():
                answers.failures.update(errors)
                break
    _check_topic_ids(cluster, answers)
    return answers


def _request_once(
    cluster: Cluster, partitions: Sequence[Partition], which: Which, answers: OffsetAnswers
) -> dict[Partition, KafkaBackupError]:
    """Send one request to each leader. Adds final results to `answers` and returns the retryable errors."""
    retryable: dict[Partition, KafkaBackupError] = {}
    by_node: dict[int, list[Partition]] = defaultdict(list)
    failures = cluster.look_up(partitions)
    for partition in partitions:
        leader = cluster.known_leader(partition)
        if leader is not None:
            by_node[leader.node_id].append(partition)
        elif partition.incarnation in failures:
            answers.failures[partition] = failures[partition.incarnation]
        else:
            retryable[partition] = no_leader_error(partition)
    for node_id, own in by_node.items():
        try:
            for partition, code, offset, epoch in _request_offsets(cluster, node_id, own, which):
                _add_result(partition, code, offset, answers, retryable)
                if code == ErrorCode.NONE and epoch >= 0:
                    answers.leader_epochs[partition] = epoch
        except BrokerUnavailableError as error:
            retryable.update(dict.fromkeys(own, error))
    return retryable


def _request_offsets(
    cluster: Cluster, node_id: int, partitions: Sequence[Partition], which: Which
) -> Iterator[tuple[Partition, int, int, int]]:
    """(partition, error code, offset, leader epoch or -1) of every partition, from one leader."""
    connection = cluster.connection(node_id)
    by_name = {(partition.topic, partition.partition): partition for partition in partitions}
    topic_class = ListOffsetsRequest.ListOffsetsTopic
    by_topic: dict[str, list[Any]] = defaultdict(list)
    for partition in partitions:
        by_topic[partition.topic].append(
            topic_class.ListOffsetsPartition(
                partition_index=partition.partition, current_leader_epoch=-1, timestamp=_TIMESTAMPS[which]
            )
        )
    lowest, highest = LIST_OFFSETS_VERSIONS
    request = ListOffsetsRequest(
        replica_id=-1,
        isolation_level=(IsolationLevel.READ_COMMITTED if which == "last_stable" else IsolationLevel.READ_UNCOMMITTED),
        topics=[topic_class(name=name, partitions=parts) for name, parts in by_topic.items()],
    )
    request.API_VERSION = connection.pick(
        ApiKey.LIST_OFFSETS, _FIRST_WITH_MAX_TIMESTAMP if which == "max_timestamp" else lowest, highest
    )
    for topic in connection.call(request).topics:
        for part in topic.partitions:
            yield by_name[topic.name, part.partition_index], part.error_code, part.offset, part.leader_epoch


def _add_result(
    partition: Partition,
    code: int,
    offset: int,
    answers: OffsetAnswers,
    retryable: dict[Partition, KafkaBackupError],
) -> None:
    if code == ErrorCode.NONE:
        answers.offsets[partition] = offset
        return
    where = f"topic {partition.topic}, partition {partition.partition}"
    needs = (Permission("Describe", "Topic", partition.topic),)
    error = error_for_code(code, Action("list offsets of", where, needs))
    if code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
        # The broker's metadata can be old. The lookup by id before the next attempt shows whether the topic is gone.
        retryable[partition] = BrokerUnavailableError(str(error), code=code)
    elif error.retryable:
        retryable[partition] = error
    else:
        answers.failures[partition] = error


def _check_topic_ids(cluster: Cluster, answers: OffsetAnswers) -> None:
    """Look up the leaders by id again. If a topic was re-created in the meantime, its error replaces its offsets."""
    cluster.forget(answers.offsets)
    failures = cluster.look_up(answers.offsets)
    for partition in [partition for partition in answers.offsets if partition.incarnation in failures]:
        answers.failures[partition] = failures[partition.incarnation]
        del answers.offsets[partition]
        answers.leader_epochs.pop(partition, None)
