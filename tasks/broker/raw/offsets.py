"""ListOffsets: where many partitions begin, are stable to, and end; one request per leader."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from tasks.broker.error_codes import ErrorCode
from tasks.broker.log_values import OffsetAnswers, Which
from tasks.broker.messages.wire import ListOffsetsRequest
from tasks.broker.raw.cluster import Cluster, no_leader
from tasks.broker.retry import RetryDeadline
from tasks.broker.translation import Action, Permission, error_for_code
from tasks.model.errors import BrokerUnavailableError, KafkaBackupError
from tasks.model.partition import Partition

_TIMESTAMPS: dict[str, int] = {"earliest": -2, "latest": -1, "last_stable": -1, "max_timestamp": -3}
_READ_COMMITTED = 1
_KNOWS_MAX_TIMESTAMP = 7


def list_offsets(cluster: Cluster, partitions: Collection[Partition], which: Which) -> OffsetAnswers:
    """The log start, the high watermark (`latest`), the last stable offset, or the offset of the record with the
    newest timestamp (-1: no record) of each partition.

    Trouble that may pass is waited out until the cluster's deadline. The request names topics, not ids; so leaders are
    looked up by id before and after it, and a re-created topic is a `TopicGoneError`, never another log's offset.
    """
    answers = OffsetAnswers()
    deadline = RetryDeadline(cluster.options.retry_deadline_ms, cluster.stop)
    missing = list(dict.fromkeys(partitions))
    while missing:
        errors = _round(cluster, missing, which, answers)
        missing = [partition for partition in missing if partition in errors]
        if missing:
            cluster.forget(missing)
            try:
                deadline.pause(errors[missing[0]])
            except BrokerUnavailableError:
                answers.failures.update(errors)
                break
    _check_ids(cluster, answers)
    return answers


def _round(
    cluster: Cluster, partitions: Sequence[Partition], which: Which, answers: OffsetAnswers
) -> dict[Partition, KafkaBackupError]:
    """Ask once. Settles what it can in `answers` and returns the partitions to ask again, with their reasons."""
    again: dict[Partition, KafkaBackupError] = {}
    by_node: dict[int, list[Partition]] = defaultdict(list)
    failures = cluster.look_up(partitions)
    for partition in partitions:
        leader = cluster.known_leader(partition)
        if leader is not None:
            by_node[leader.node_id].append(partition)
        elif partition.incarnation in failures:
            answers.failures[partition] = failures[partition.incarnation]
        else:
            again[partition] = no_leader(partition)
    for node_id, own in by_node.items():
        try:
            for partition, code, offset in _request_offsets(cluster, node_id, own, which):
                _settle(partition, code, offset, answers, again)
        except BrokerUnavailableError as error:
            again.update(dict.fromkeys(own, error))
    return again


def _request_offsets(
    cluster: Cluster, node_id: int, partitions: Sequence[Partition], which: Which
) -> Iterator[tuple[Partition, int, int]]:
    """(partition, error code, offset) of every partition, as one leader says. ListOffsets v2–v7."""
    connection = cluster.connection(node_id)
    places = {(partition.topic, partition.partition): partition for partition in partitions}
    topic_class = ListOffsetsRequest.ListOffsetsTopic
    by_topic: dict[str, list[Any]] = defaultdict(list)
    for partition in partitions:
        by_topic[partition.topic].append(
            topic_class.ListOffsetsPartition(
                partition_index=partition.partition, current_leader_epoch=-1, timestamp=_TIMESTAMPS[which]
            )
        )
    lowest = _KNOWS_MAX_TIMESTAMP if which == "max_timestamp" else 2
    request = ListOffsetsRequest(
        replica_id=-1,
        isolation_level=_READ_COMMITTED if which == "last_stable" else 0,
        topics=[topic_class(name=name, partitions=parts) for name, parts in by_topic.items()],
    )
    request.API_VERSION = connection.pick(ListOffsetsRequest.API_KEY, lowest, 7)
    for topic in connection.call(request).topics:
        for part in topic.partitions:
            yield places[topic.name, part.partition_index], part.error_code, part.offset


def _settle(
    partition: Partition,
    code: int,
    offset: int,
    answers: OffsetAnswers,
    again: dict[Partition, KafkaBackupError],
) -> None:
    if code == ErrorCode.NONE:
        answers.offsets[partition] = offset
        return
    where = f"topic {partition.topic}, partition {partition.partition}"
    needs = (Permission("Describe", "Topic", partition.topic),)
    error = error_for_code(code, Action("list offsets of", where, needs))
    if (
        code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    ):  # a broker may lag behind: the look-up by id, before the next attempt, decides
        again[partition] = BrokerUnavailableError(str(error), code=code)
    elif error.retryable:
        again[partition] = error
    else:
        answers.failures[partition] = error


def _check_ids(cluster: Cluster, answers: OffsetAnswers) -> None:
    """Ask for the leaders by id again: an answer of a topic that was re-created meanwhile must not stand."""
    cluster.forget(answers.offsets)
    failures = cluster.look_up(answers.offsets)
    for partition in [partition for partition in answers.offsets if partition.incarnation in failures]:
        answers.failures[partition] = failures[partition.incarnation]
        del answers.offsets[partition]
