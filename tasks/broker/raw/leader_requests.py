"""One request to each leader for all of its partitions, repeated for those with retryable errors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TypeVar

from tasks.broker.error_codes import ErrorCode
from tasks.broker.raw.cluster import Cluster, no_leader_error
from tasks.broker.raw.connection import Connection
from tasks.broker.retry import RetryDeadline
from tasks.broker.translation import Action, Permission, error_for_code
from tasks.model.errors import BrokerUnavailableError, KafkaBackupError
from tasks.model.partition import Partition

T = TypeVar("T")

Request = Callable[[Connection, Sequence[Partition]], Iterator[tuple[Partition, int, T]]]
"""Sends one request for partitions of one leader. Returns (partition, error code, value) of each."""


def request_leaders(
    cluster: Cluster,
    partitions: Collection[Partition],
    request: Request[T],
    verb: str,
    values: dict[Partition, T],
    failures: dict[Partition, KafkaBackupError],
) -> None:
    """Fill `values` and `failures`: each partition gets its leader's value, or the reason why there is none.

    Retries retryable errors until the cluster's deadline. The requests contain topic names and no ids, so leaders are
    looked up by id before and after them: a re-created topic is a `TopicGoneError`, never the value of another log.
    `verb` is for messages: "list offsets of".
    """
    deadline = RetryDeadline(cluster.options.deadline_ms, cluster.stop)
    missing = list(dict.fromkeys(partitions))
    with cluster.options.contact.operation(f"the cluster to {verb} partitions") as waiting:
        while missing:
            errors = _request_once(cluster, missing, request, verb, values, failures)
            missing = [partition for partition in missing if partition in errors]
            if missing:
                waiting.failed(errors[missing[0]])
                cluster.forget(missing)
                if not deadline.wait():
                    failures.update(errors)
                    break
    _check_topic_ids(cluster, values, failures)


def by_topic(partitions: Sequence[Partition]) -> dict[str, list[Partition]]:
    """The partitions by the name of their topic."""
    found: dict[str, list[Partition]] = defaultdict(list)
    for partition in partitions:
        found[partition.topic].append(partition)
    return found


def _request_once(
    cluster: Cluster,
    partitions: Sequence[Partition],
    request: Request[T],
    verb: str,
    values: dict[Partition, T],
    failures: dict[Partition, KafkaBackupError],
) -> dict[Partition, KafkaBackupError]:
    """Send one request to each leader. Adds final results and returns the retryable errors."""
    retryable: dict[Partition, KafkaBackupError] = {}
    by_node: dict[int, list[Partition]] = defaultdict(list)
    unknown = cluster.look_up(partitions)
    for partition in partitions:
        leader = cluster.known_leader(partition)
        if leader is not None:
            by_node[leader.node_id].append(partition)
        elif partition.incarnation in unknown:
            failures[partition] = unknown[partition.incarnation]
        else:
            retryable[partition] = no_leader_error(partition)
    for node_id, own in by_node.items():
        try:
            for partition, code, value in request(cluster.connection(node_id), own):
                if code == ErrorCode.NONE:
                    values[partition] = value
                else:
                    _add_error(partition, code, verb, failures, retryable)
        except BrokerUnavailableError as error:
            retryable.update(dict.fromkeys(own, error))
    return retryable


def _add_error(
    partition: Partition,
    code: int,
    verb: str,
    failures: dict[Partition, KafkaBackupError],
    retryable: dict[Partition, KafkaBackupError],
) -> None:
    where = f"topic {partition.topic}, partition {partition.partition}"
    needs = (Permission("Describe", "Topic", partition.topic),)
    error = error_for_code(code, Action(verb, where, needs))
    if code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
        # The broker's metadata can be old. The lookup by id before the next attempt shows whether the topic is gone.
        retryable[partition] = BrokerUnavailableError(str(error), code=code)
    elif error.retryable:
        retryable[partition] = error
    else:
        failures[partition] = error


def _check_topic_ids(cluster: Cluster, values: dict[Partition, T], failures: dict[Partition, KafkaBackupError]) -> None:
    """Look the leaders up by id again, and replace the value of a topic that was re-created meanwhile by its error."""
    cluster.forget(values)
    gone = cluster.look_up(values)
    for partition in [partition for partition in values if partition.incarnation in gone]:
        failures[partition] = gone[partition.incarnation]
        del values[partition]
