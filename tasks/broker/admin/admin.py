"""Everything but bulk data: the cluster, its topics and their settings, through confluent-kafka.

Groups are in `groups`, ACLs in `acls`; both ask through the `Admin` they are given.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

from tasks.broker.admin.admin_requests import values
from tasks.broker.admin.client import AdminConnection, done
from tasks.broker.admin.topics import (
    client_resource,
    client_topic,
    config_entries,
    is_as_specified,
    is_in_force,
    topic_description,
)
from tasks.broker.admin_values import ConfigEntry, NewTopicSpec, Place, TopicDescription
from tasks.broker.error_codes import ErrorCode
from tasks.broker.raw.cluster import NEW_TOPIC_GRACE_MS
from tasks.broker.retry import RetryDeadline
from tasks.broker.translation import Action, Permission, is_unknown_topic
from tasks.model.errors import BrokerError, KafkaBackupError, TopicGoneError

if TYPE_CHECKING:
    from confluent_kafka.admin import DescribeClusterResult  # type: ignore[attr-defined]

V = TypeVar("V")

_TOPICS_PER_REQUEST = 500


class Admin(AdminConnection):
    """Administration of one cluster. Safe to use from several threads.

    The connection's `request_timeout_ms` bounds one request, `deadline_ms` the wait for a cluster that does not answer
    and the repetition of requests that got a retriable answer. Every method may raise `BrokerUnavailableError` (no
    usable answer before the deadline), `AccessError`, `ConfigError` when the connection's security does not fit the
    cluster, `BrokerError`, and `InterruptedRunError` soon after `stop` is set.
    """

    def cluster_id(self) -> str:
        """The id that the cluster was formatted with."""
        return str(self._cluster().cluster_id)

    def node_count(self) -> int:
        """How many brokers are alive."""
        return len(self._cluster().nodes)

    def node_ids(self) -> list[int]:
        """The brokers that are alive."""
        return [node.id for node in self._cluster().nodes]

    def node_addresses(self) -> list[tuple[str, int]]:
        """Host and port of every broker that is alive, as it advertises them."""
        return [(node.host, node.port) for node in self._cluster().nodes]

    def _cluster(self) -> DescribeClusterResult:
        def request() -> Future[DescribeClusterResult]:
            return self.sdk.describe_cluster(request_timeout=self.timeout_s)

        return self.call(Action("describe", self.location), request)

    def describe_topics(self, names: Sequence[str] | None = None) -> list[TopicDescription]:
        """These topics, or all with internal ones, by name. Names that do not exist are absent from the answer."""
        if names is not None:
            return list(self._describe(names).values())
        return list(self._once_known(self._topic_names(), self._describe).values())

    def _describe(self, names: Sequence[str]) -> dict[str, TopicDescription]:
        from confluent_kafka import TopicCollection

        def request(some: list[str]) -> Mapping[str, Future[Any]]:
            return self.sdk.describe_topics(TopicCollection(some), request_timeout=self.timeout_s)

        return self._of_known(
            names, request, lambda name, topic: topic_description(topic), _topic("describe", "Describe")
        )

    def _topic_names(self) -> list[str]:
        return self.call(
            Action("list the topics of", self.location),
            lambda: done(list(self.sdk.list_topics(timeout=self.timeout_s).topics)),
        )

    def topic_configs(self, names: Sequence[str]) -> dict[str, tuple[ConfigEntry, ...]]:
        """Every setting in force for each topic, the brokers' own included. `TopicGoneError`: one does not exist."""
        found = self.known_topic_configs(names)
        for name in (name for name in names if name not in found):
            raise TopicGoneError(f"Topic {name} does not exist (any more).")
        return found

    def known_topic_configs(self, names: Sequence[str]) -> dict[str, tuple[ConfigEntry, ...]]:
        """The same, where names that do not exist are absent from the answer."""
        return self._once_known(names, self._configs)

    def _configs(self, names: Sequence[str]) -> dict[str, tuple[ConfigEntry, ...]]:
        def request(some: list[str]) -> Mapping[str, Future[Any]]:
            resources = [client_resource(name) for name in some]
            futures = self.sdk.describe_configs(resources, request_timeout=self.timeout_s)
            return {resource.name: future for resource, future in futures.items()}

        needed = _topic("read the settings of", "DescribeConfigs")
        return self._of_known(names, request, lambda name, entries: config_entries(entries), needed)

    def _of_known(
        self,
        names: Sequence[str],
        request: Callable[[list[str]], Mapping[str, Future[Any]]],
        read: Callable[[str, Any], V],
        action: Callable[[str], Action],
    ) -> dict[str, V]:
        """What the brokers that are asked say of the topics they know, in the order of names."""
        found: dict[str, V] = {}
        for some in _portions(names):
            answers = self.call_each(some, request, read, action)
            found |= values({name: one for name, one in answers.items() if not is_unknown_topic(one)})
        return found

    def _once_known(self, names: Sequence[str], ask: Callable[[Sequence[str]], dict[str, V]]) -> dict[str, V]:
        """The answers for names that somebody has just seen: brokers learn of a topic one after the other."""
        found = ask(names)
        new_topic_deadline = RetryDeadline(NEW_TOPIC_GRACE_MS, self._stop)
        while (unknown := [name for name in names if name not in found]) and new_topic_deadline.wait():
            found |= ask(unknown)
        return dict(sorted(found.items()))

    def create_topics(
        self, specs: Sequence[NewTopicSpec], *, validate_only: bool = False
    ) -> dict[str, KafkaBackupError | None]:
        """Create the topics, or only have the brokers check that they could: per topic None or why not.

        On return the created ones have leaders. Topics are independent. A `ConfigError` is a wrong setting, count or
        name. When the answer to a creation was lost, a topic found on asking again is ours iff it is as specified.
        """
        by_name = {spec.name: spec for spec in specs}
        sent: Counter[str] = Counter()

        def request(some: list[str]) -> Mapping[str, Future[Any]]:
            sent.update(some)
            topics = [client_topic(by_name[name]) for name in some]
            return self.sdk.create_topics(topics, validate_only=validate_only, request_timeout=self.timeout_s)

        answers = self.call_each(list(by_name), request, _nothing, _topic("create", "Create"))
        for name, error in answers.items():
            if _has_code(error, ErrorCode.TOPIC_ALREADY_EXISTS) and sent[name] > 1 and self._is_ours(by_name[name]):
                answers[name] = None
        if not validate_only:
            self._await_leaders([name for name, error in answers.items() if error is None])
        return answers

    def _is_ours(self, spec: NewTopicSpec) -> bool:
        found = self.describe_topics([spec.name])
        return bool(found) and is_as_specified(spec, found[0], self.topic_configs([spec.name])[spec.name])

    def _await_leaders(self, names: Sequence[str]) -> None:
        def is_so() -> bool:
            found = self.describe_topics(names)
            return len(found) == len(names) and all(topic.has_leaders for topic in found)

        self.await_that(is_so, f"Created topics have no leaders: {', '.join(names)}.")

    def delete_topics(self, names: Sequence[str]) -> dict[str, KafkaBackupError | None]:
        """Delete the topics with all their records: per topic None or why not. On return no broker asked knows them."""
        sent: Counter[str] = Counter()

        def request(some: list[str]) -> Mapping[str, Future[Any]]:
            sent.update(some)
            return self.sdk.delete_topics(some, request_timeout=self.timeout_s)

        answers = self.call_each(sorted(set(names)), request, _nothing, _topic("delete", "Delete"))
        for name, error in answers.items():
            if is_unknown_topic(error) and sent[name] > 1:  # deleted by the request whose answer was lost
                answers[name] = None
        deleted = [name for name, error in answers.items() if error is None]
        self.await_that(lambda: not self.describe_topics(deleted), f"Deleted topics stay: {', '.join(deleted)}.")
        return answers

    def alter_topic_configs(
        self, name: str, to_set: Mapping[str, str], to_delete: Collection[str], *, validate_only: bool = False
    ) -> None:
        """Set settings on the topic itself and take others away, in one request, all or nothing; or only have the
        brokers check that they could.

        Returns when the brokers show the change. `ConfigError`: Kafka refuses a setting; nothing was changed.
        """

        def request(some: list[str]) -> Mapping[str, Future[Any]]:
            resource = client_resource(name, to_set, to_delete)
            futures = self.sdk.incremental_alter_configs(
                [resource], validate_only=validate_only, request_timeout=self.timeout_s
            )
            return {one.name: future for one, future in futures.items()}

        if not to_set and not to_delete:
            return
        values(self.call_each([name], request, _nothing, _topic("change the settings of", "AlterConfigs")))
        if validate_only:
            return
        self.await_that(
            lambda: is_in_force(self.topic_configs([name])[name], to_set, to_delete),
            f"The settings of topic {name} were changed and do not show it.",
        )

    def delete_records(self, before_offsets: Mapping[Place, int]) -> dict[Place, int]:
        """Delete what lies below the offset given for each partition. Returns their log starts. May be repeated.

        Raises the first partition's error when any failed; others may have been done. `OffsetOutOfRangeError`: the
        offset lies beyond the end.
        """
        from confluent_kafka import TopicPartition

        def request(some: list[Place]) -> Mapping[Place, Future[Any]]:
            wanted = [TopicPartition(topic, partition, before_offsets[topic, partition]) for topic, partition in some]
            futures = self.sdk.delete_records(wanted, request_timeout=self.timeout_s)
            return {(one.topic, one.partition): future for one, future in futures.items()}

        def action(place: Place) -> Action:
            return Action("delete records of", f"{place[0]}-{place[1]}", (Permission("Delete", "Topic", place[0]),))

        return values(
            self.call_each(list(before_offsets), request, lambda place, deleted: int(deleted.low_watermark), action)
        )


def _portions(names: Sequence[str]) -> list[list[str]]:
    wanted = sorted(set(names))
    return [wanted[i : i + _TOPICS_PER_REQUEST] for i in range(0, len(wanted), _TOPICS_PER_REQUEST)]


def _topic(verb: str, operation: str) -> Callable[[str], Action]:
    return lambda name: Action(verb, f"topic {name}", (Permission(operation, "Topic", name),))


def _nothing(name: str, result: object) -> None:
    """What there is to read in an answer that is only yes."""


def _has_code(error: object, code: int) -> bool:
    return isinstance(error, BrokerError) and error.code == code
