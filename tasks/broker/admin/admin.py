"""Administration of a cluster, its topics and their settings, through confluent-kafka.

Groups are in `groups`, ACLs in `acls`, permissions in `permissions`, the brokers' defaults in `broker_defaults`: their
functions send requests through an `Admin`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

from tasks.broker.admin.admin_requests import completed_future, values_or_raise
from tasks.broker.admin.client import AdminConnection
from tasks.broker.admin.topics import (
    client_resource,
    client_topic,
    config_entries,
    is_as_specified,
    is_in_force,
    topic_description,
)
from tasks.broker.admin_values import ConfigChange, ConfigEntry, NewTopicSpec, TopicDescription, TopicPartition
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

    The connection's `request_timeout_ms` limits one request. `deadline_ms` limits the wait for a cluster that does not
    answer, and the retries of requests with a retryable error. Every method may raise `BrokerUnavailableError` (no
    usable answer before the deadline), `AccessError`, `ConfigError` when the connection's security does not fit the
    cluster, `BrokerError`, and `InterruptedRunError` soon after `stop` is set.
    """

    def cluster_id(self) -> str:
        """The id with which the cluster was formatted."""
        return str(self._cluster().cluster_id)

    def node_count(self) -> int:
        """The number of brokers that are alive."""
        return len(self._cluster().nodes)

    def node_ids(self) -> list[int]:
        """The ids of the brokers that are alive."""
        return [node.id for node in self._cluster().nodes]

    def node_addresses(self) -> list[tuple[str, int]]:
        """Advertised host and port of every broker that is alive."""
        return [(node.host, node.port) for node in self._cluster().nodes]

    def _cluster(self) -> DescribeClusterResult:
        def send() -> Future[DescribeClusterResult]:
            return self.sdk.describe_cluster(request_timeout=self.timeout_s)

        return self.call(Action("describe", self.location), send)

    def describe_topics(self, names: Sequence[str] | None = None) -> list[TopicDescription]:
        """These topics, or all topics with internal ones, ordered by name. Names that do not exist are absent."""
        if names is not None:
            return list(self._describe(names).values())
        return list(self._with_new_topics(self._topic_names(), self._describe).values())

    def _describe(self, names: Sequence[str]) -> dict[str, TopicDescription]:
        from confluent_kafka import TopicCollection

        def send(chunk: list[str]) -> Mapping[str, Future[Any]]:
            return self.sdk.describe_topics(TopicCollection(chunk), request_timeout=self.timeout_s)

        return self._known_topics(
            names, send, lambda name, topic: topic_description(topic), _topic_action("describe", "Describe")
        )

    def _topic_names(self) -> list[str]:
        return self.call(
            Action("list the topics of", self.location),
            lambda: completed_future(list(self.sdk.list_topics(timeout=self.timeout_s).topics)),
        )

    def topic_configs(self, names: Sequence[str]) -> dict[str, tuple[ConfigEntry, ...]]:
        """All settings in force for each topic, the brokers' included. Raises `TopicGoneError` for an unknown name."""
        found = self.known_topic_configs(names)
        for name in (name for name in names if name not in found):
            raise TopicGoneError(f"Topic {name} does not exist.")
        return found

    def known_topic_configs(self, names: Sequence[str]) -> dict[str, tuple[ConfigEntry, ...]]:
        """Same as `topic_configs`, but names that do not exist are absent from the result."""
        return self._with_new_topics(names, self._configs)

    def _configs(self, names: Sequence[str]) -> dict[str, tuple[ConfigEntry, ...]]:
        def send(chunk: list[str]) -> Mapping[str, Future[Any]]:
            resources = [client_resource(name) for name in chunk]
            futures = self.sdk.describe_configs(resources, request_timeout=self.timeout_s)
            return {resource.name: future for resource, future in futures.items()}

        action = _topic_action("read the settings of", "DescribeConfigs")
        return self._known_topics(names, send, lambda name, entries: config_entries(entries), action)

    def _known_topics(
        self,
        names: Sequence[str],
        send: Callable[[list[str]], Mapping[str, Future[Any]]],
        convert: Callable[[str, Any], V],
        action: Callable[[str], Action],
    ) -> dict[str, V]:
        """The values of the topics that the called brokers know, ordered by name. Raises every other error."""
        found: dict[str, V] = {}
        for chunk in _chunks(names):
            answers = self.call_each(chunk, send, convert, action)
            known = {name: answer for name, answer in answers.items() if not is_unknown_topic(answer)}
            found |= values_or_raise(known)
        return found

    def _with_new_topics(self, names: Sequence[str], request: Callable[[Sequence[str]], dict[str, V]]) -> dict[str, V]:
        """The values of topics that were just seen. Names that are missing are requested again for a short time,
        because brokers learn of a new topic one after the other."""
        found = request(names)
        deadline = RetryDeadline(NEW_TOPIC_GRACE_MS, self._stop)
        while (missing := [name for name in names if name not in found]) and deadline.wait():
            found |= request(missing)
        return dict(sorted(found.items()))

    def create_topics(
        self, specs: Sequence[NewTopicSpec], *, validate_only: bool = False
    ) -> dict[str, KafkaBackupError | None]:
        """Create the topics, or only let the brokers check that they can be created. Topics are independent.

        Returns None or the error for each topic; `ConfigError` means a wrong setting, count or name. On return the
        created topics have leaders. If the answer to a creation is lost, the retry finds an existing topic, which then
        counts as created if it is as specified.
        """
        by_name = {spec.name: spec for spec in specs}
        sent: Counter[str] = Counter()

        def send(chunk: list[str]) -> Mapping[str, Future[Any]]:
            sent.update(chunk)
            topics = [client_topic(by_name[name]) for name in chunk]
            return self.sdk.create_topics(topics, validate_only=validate_only, request_timeout=self.timeout_s)

        answers = self.call_each(list(by_name), send, _no_value, _topic_action("create", "Create"))
        for name, error in answers.items():
            exists = isinstance(error, BrokerError) and error.code == ErrorCode.TOPIC_ALREADY_EXISTS
            if exists and sent[name] > 1 and self._exists_as_specified(by_name[name]):
                answers[name] = None
        if not validate_only:
            self._await_leaders([name for name, error in answers.items() if error is None])
        return answers

    def _exists_as_specified(self, spec: NewTopicSpec) -> bool:
        found = self.describe_topics([spec.name])
        return bool(found) and is_as_specified(spec, found[0], self.topic_configs([spec.name])[spec.name])

    def _await_leaders(self, names: Sequence[str]) -> None:
        def have_leaders() -> bool:
            found = self.describe_topics(names)
            return len(found) == len(names) and all(topic.has_leaders for topic in found)

        self.await_that(have_leaders, f"The created topics have no leaders yet: {', '.join(names)}.")

    def delete_topics(self, names: Sequence[str]) -> dict[str, KafkaBackupError | None]:
        """Delete the topics with all their records. Returns None or the error for each topic.

        On return the deleted topics are no longer described.
        """
        sent: Counter[str] = Counter()

        def send(chunk: list[str]) -> Mapping[str, Future[Any]]:
            sent.update(chunk)
            return self.sdk.delete_topics(chunk, request_timeout=self.timeout_s)

        answers = self.call_each(sorted(set(names)), send, _no_value, _topic_action("delete", "Delete"))
        for name, error in answers.items():
            if is_unknown_topic(error) and sent[name] > 1:  # an earlier request deleted it and its answer was lost
                answers[name] = None
        deleted = [name for name, error in answers.items() if error is None]
        self.await_that(
            lambda: not self.describe_topics(deleted), f"The deleted topics still exist: {', '.join(deleted)}."
        )
        return answers

    def alter_topic_configs(
        self, name: str, to_set: Mapping[str, str], to_delete: Collection[str], *, validate_only: bool = False
    ) -> None:
        """Set values on the topic itself and remove others, in one request, all or nothing; or only let the brokers
        check that they can.

        Returns when the brokers show the change. Raises `ConfigError` when Kafka rejects a setting: nothing was
        changed.
        """
        change = ConfigChange(to_set=to_set, to_delete=to_delete)
        error = self.alter_topics({name: change}, validate_only=validate_only)[name]
        if error is not None:
            raise error

    def alter_topics(
        self, changes: Mapping[str, ConfigChange], *, validate_only: bool = False
    ) -> dict[str, KafkaBackupError | None]:
        """Change the settings of many topics, with one request for 500 of them. Each topic's change is all or nothing.

        Returns None or the error for each topic; `ConfigError` means that Kafka rejected a setting of it. On return the
        brokers show the changes that succeeded. A topic whose change is empty is not named to the brokers.
        """

        def send(chunk: list[str]) -> Mapping[str, Future[Any]]:
            resources = [client_resource(name, changes[name].to_set, changes[name].to_delete) for name in chunk]
            futures = self.sdk.incremental_alter_configs(
                resources, validate_only=validate_only, request_timeout=self.timeout_s
            )
            return {resource.name: future for resource, future in futures.items()}

        answers: dict[str, KafkaBackupError | None] = dict.fromkeys(changes)
        for chunk in _chunks([name for name, change in changes.items() if change]):
            action = _topic_action("change the settings of", "AlterConfigs")
            answers |= self.call_each(chunk, send, _no_value, action)
            if not validate_only:
                self._await_settings({name: changes[name] for name in chunk if answers[name] is None})
        return answers

    def _await_settings(self, changes: Mapping[str, ConfigChange]) -> None:
        """Return when the brokers show all these changes."""
        pending = dict(changes)

        def are_shown() -> bool:
            for name, entries in self.topic_configs(list(pending)).items():
                if is_in_force(entries, pending[name].to_set, pending[name].to_delete):
                    del pending[name]
            return not pending

        if pending:
            message = "The settings of these topics were changed, but the brokers still show the old ones: "
            self.await_that(are_shown, f"{message}{', '.join(changes)}.")

    def delete_records(self, before_offsets: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """Delete the records below the given offset of each partition. Returns the new log starts. Repeatable.

        Raises the first partition's error if any failed; the others may be done. `OffsetOutOfRangeError`: the offset is
        beyond the end.
        """
        from confluent_kafka import TopicPartition as ClientTopicPartition

        def send(chunk: list[TopicPartition]) -> Mapping[TopicPartition, Future[Any]]:
            wanted = [
                ClientTopicPartition(topic, partition, before_offsets[topic, partition]) for topic, partition in chunk
            ]
            futures = self.sdk.delete_records(wanted, request_timeout=self.timeout_s)
            return {(one.topic, one.partition): future for one, future in futures.items()}

        def action(key: TopicPartition) -> Action:
            topic, partition = key
            return Action("delete records of", f"{topic}-{partition}", (Permission("Delete", "Topic", topic),))

        answers = self.call_each(list(before_offsets), send, lambda key, deleted: int(deleted.low_watermark), action)
        return values_or_raise(answers)


def _chunks(names: Sequence[str]) -> list[list[str]]:
    ordered = sorted(set(names))
    return [ordered[start : start + _TOPICS_PER_REQUEST] for start in range(0, len(ordered), _TOPICS_PER_REQUEST)]


def _topic_action(verb: str, operation: str) -> Callable[[str], Action]:
    return lambda name: Action(verb, f"topic {name}", (Permission(operation, "Topic", name),))


def _no_value(name: str, result: object) -> None:
    """The value of a successful answer that contains nothing."""
