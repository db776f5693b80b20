"""Administration of a cluster, its topics and their settings: describes, creates, deletes and changes them, deletes
records, and waits until the brokers show a change. Finds out whether a creation or deletion without an answer was
executed.

The functions in `groups`, `positions` (of groups), `acls`, `permissions` and `broker_defaults` send their requests
through an `Admin`.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeVar

from tasks.broker.admin.admin_connection import AdminConnection
from tasks.broker.admin.admin_requests import Answers, Attempt, K, by_number, by_weight, lost_error, values_or_raise
from tasks.broker.admin.coordinators import Coordinators
from tasks.broker.admin.request_sizes import (
    LARGEST_CHANGE,
    LARGEST_STEP,
    change_weight,
    creation_weight,
    first_part,
    partition_counts,
)
from tasks.broker.admin.topic_messages import (
    ClusterDescription,
    Failed,
    MetadataTopic,
    ResourceType,
    request_changes,
    request_cluster,
    request_configs,
    request_creation,
    request_deletion,
    request_deletion_by_id,
    request_partitions,
    request_record_deletion,
    request_topics,
)
from tasks.broker.admin.topics import is_as_specified, is_in_force
from tasks.broker.admin_values import (
    ConfigChange,
    ConfigEntry,
    NewTopicSpec,
    TopicDescription,
    TopicPartition,
)
from tasks.broker.error_codes import ErrorCode
from tasks.broker.raw.cluster import NEW_TOPIC_GRACE_MS
from tasks.broker.raw.connection import ConnectionOptions
from tasks.broker.retry import RetryDeadline
from tasks.broker.translation import Action, Permission, error_for_code, is_forbidden, is_unknown_topic
from tasks.model.errors import (
    AccessError,
    BrokerError,
    BrokerUnavailableError,
    ConfigError,
    InterruptedRunError,
    KafkaBackupError,
    TopicGoneError,
)

V = TypeVar("V")

_TOPICS_PER_REQUEST = 500
_PARTITIONS_PER_REQUEST = 2_000
_TIMEOUT_SHARE = 0.8
"""The brokers get this part of the connection's request timeout as their own timeout, so that their answer still
arrives."""


class Admin(AdminConnection):
    """Administration of one cluster. Safe to use from several threads.

    The connection's `request_timeout_ms` limits one request. `deadline_ms` limits the wait for a cluster that does not
    answer, and the retries after retryable errors. The methods raise the errors that `ports.ClusterAdmin` lists.
    """

    def __init__(
        self, connection: ConnectionOptions, *, deadline_ms: int | None = None, stop: threading.Event | None = None
    ) -> None:
        super().__init__(connection, deadline_ms=deadline_ms, stop=stop)
        self.coordinators = Coordinators()

    @property
    def _timeout_ms(self) -> int:
        return int(self.connection.request_timeout_ms * _TIMEOUT_SHARE)

    # ── the cluster and its brokers ─────────────────────────────────────────────────────────────────────────────────

    def cluster_id(self) -> str:
        """The id with which the cluster was formatted."""
        return self._cluster().cluster_id

    def node_count(self) -> int:
        """The number of brokers that are alive."""
        return len(self._cluster().node_ids)

    def cluster_operations(self) -> frozenset[int]:
        """The codes of the operations that this user is allowed to do on the cluster."""
        return self._cluster(with_operations=True).operations

    def _cluster(self, *, with_operations: bool = False) -> ClusterDescription:
        action = Action("describe", self.location)

        def send(attempt: Attempt) -> ClusterDescription:
            found = request_cluster(attempt, with_operations=with_operations)
            if isinstance(found, Failed):
                raise error_for_code(found.code, action, found.message)
            return found

        return self.answer(action, send)

    def broker_settings(self) -> dict[str, str]:
        """The settings in force of one broker, without those whose values Kafka does not return (sensitive ones).
        Raises `AccessError` if this user is not allowed to read them."""
        action = Action("read the settings of", "a broker", (Permission("DescribeConfigs", "Cluster"),))

        def send(attempt: Attempt) -> tuple[ConfigEntry, ...]:
            node = min(attempt.cluster.refresh_brokers())
            [found] = request_configs(attempt, attempt.broker(node), ResourceType.BROKER, [str(node)]).values()
            if isinstance(found, Failed):
                raise error_for_code(found.code, action, found.message)
            return found

        return {entry.name: entry.value for entry in self.answer(action, send) if entry.value is not None}

    def broker_setting(self, name: str) -> str | None:
        """One setting in force of a broker, for messages. None if it cannot be read. Raises only
        `InterruptedRunError`."""
        try:
            return self.broker_settings().get(name)
        except InterruptedRunError:
            raise
        except KafkaBackupError:
            return None

    # ── topics ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def describe_topics(self, names: Sequence[str] | None = None) -> list[TopicDescription]:
        """See `ClusterAdmin.describe_topics`."""
        if names is not None:
            return [found.topic for found in self._known(self._described(names)).values()]
        action = Action("list the topics of", self.location)
        listed = self.answer(action, lambda attempt: request_topics(attempt, None))
        failed = [name for name, found in listed.items() if isinstance(found, Failed)]
        found = {name: found.topic for name, found in listed.items() if isinstance(found, MetadataTopic)}
        found |= {topic.name: topic for topic in self.describe_topics(failed)}
        return [found[name] for name in sorted(found)]

    def topic_operations(self, names: Sequence[str]) -> dict[str, frozenset[int] | KafkaBackupError]:
        """The codes of the operations that this user is allowed to do with each topic, or the topic's error."""
        return {
            name: answer.operations if isinstance(answer, MetadataTopic) else answer
            for name, answer in self._described(names, with_operations=True).items()
        }

    def _described(self, names: Sequence[str], *, with_operations: bool = False) -> Answers[str, MetadataTopic]:
        action = _topic_action("describe", "Describe")

        def send(attempt: Attempt, chunk: list[str]) -> dict[str, MetadataTopic | KafkaBackupError]:
            return _answers(chunk, request_topics(attempt, chunk, with_operations=with_operations), action)

        return self.answer_each(sorted(set(names)), send, action, by_number(_TOPICS_PER_REQUEST))

    def _known(self, answers: Answers[str, V]) -> dict[str, V]:
        """The values of the topics that the brokers know, in the order of the answers. Topics that they do not know are
        left out. Raises every other error."""
        return values_or_raise({name: answer for name, answer in answers.items() if not is_unknown_topic(answer)})

    # ── settings ────────────────────────────────────────────────────────────────────────────────────────────────────

    def topic_configs(self, names: Sequence[str]) -> dict[str, tuple[ConfigEntry, ...]]:
        """All settings in force for each topic, also those that come from the brokers. Raises `TopicGoneError` for an
        unknown name."""
        found = self.known_topic_configs(names)
        for name in (name for name in names if name not in found):
            raise TopicGoneError(f"Topic {name} does not exist.")
        return found

    def known_topic_configs(self, names: Sequence[str]) -> dict[str, tuple[ConfigEntry, ...]]:
        """Same as `topic_configs`, but names that do not exist are absent. Ordered by name.

        Names that are missing are requested again for `NEW_TOPIC_GRACE_MS`, because brokers learn of a new topic one
        after the other. Names that are still missing after that are absent.
        """
        found = self._known(self._configs(names))
        deadline = RetryDeadline(NEW_TOPIC_GRACE_MS, self.stop)
        while (missing := [name for name in names if name not in found]) and deadline.wait():
            found |= self._known(self._configs(missing))
        return dict(sorted(found.items()))

    def _configs(self, names: Sequence[str]) -> Answers[str, tuple[ConfigEntry, ...]]:
        action = _topic_action("read the settings of", "DescribeConfigs")

        def send(attempt: Attempt, chunk: list[str]) -> dict[str, tuple[ConfigEntry, ...] | KafkaBackupError]:
            return _answers(chunk, request_configs(attempt, attempt.any_broker(), ResourceType.TOPIC, chunk), action)

        return self.answer_each(sorted(set(names)), send, action, by_number(_TOPICS_PER_REQUEST))

    def alter_topic_configs(
        self, name: str, to_set: Mapping[str, str], to_delete: Collection[str], *, validate_only: bool = False
    ) -> None:
        """Same as `alter_topics` for one topic, but raises the topic's error."""
        change = ConfigChange(to_set=to_set, to_delete=to_delete)
        for error in self.alter_topics({name: change}, validate_only=validate_only).values():
            if error is not None:
                raise error

    def alter_topics(
        self, changes: Mapping[str, ConfigChange], *, validate_only: bool = False
    ) -> dict[str, KafkaBackupError | None]:
        """Change the settings of each topic, all or nothing for each. With `validate_only` the brokers only check the
        changes.

        Returns None or the error for each topic, when the brokers show the changes. `ConfigError` means that Kafka
        rejects a setting: then nothing of this topic was changed. A topic whose settings this user is not allowed to
        read gets its error before anything is changed, because the change could not be seen. Raises
        `BrokerUnavailableError` if the brokers accept changes and do not show them before the deadline.
        """
        action = _topic_action("change the settings of", "AlterConfigs")
        answers: Answers[str, None] = {name: _contradiction(name, change) for name, change in changes.items()}
        wanted = {name: change for name, change in changes.items() if change and answers[name] is None}
        if not validate_only:
            hidden = {name: error for name, error in self._configs(list(wanted)).items() if is_forbidden(error)}
            answers.update({name: error for name, error in hidden.items() if isinstance(error, AccessError)})
            wanted = {name: change for name, change in wanted.items() if name not in hidden}

        def send(attempt: Attempt, chunk: list[str]) -> dict[str, KafkaBackupError | None]:
            part = {name: wanted[name] for name in chunk}
            return _answers(chunk, request_changes(attempt, part, validate_only=validate_only), action)

        split = by_weight(lambda name: change_weight(wanted[name]), LARGEST_CHANGE)
        answers.update(self.answer_each(list(wanted), send, action, split))
        if not validate_only:
            self._await_changes({name: change for name, change in wanted.items() if answers[name] is None})
        return answers

    def _await_changes(self, changes: Mapping[str, ConfigChange]) -> None:
        pending = dict(changes)

        def are_in_force() -> bool:
            found = self.topic_configs(list(pending))
            for name, change in list(pending.items()):
                if is_in_force(found[name], change.to_set, change.to_delete):
                    del pending[name]
            return not pending

        message = "The settings of topics were changed, but the brokers still show the old ones. First: {}."
        self.await_that(are_in_force, message.format(min(pending, default="")))

    # ── creation and deletion ───────────────────────────────────────────────────────────────────────────────────────

    def create_topics(
        self, specs: Sequence[NewTopicSpec], *, validate_only: bool = False
    ) -> dict[str, KafkaBackupError | None]:
        """Create the topics. With `validate_only` the brokers only check that they can be created. One failed topic
        does not prevent the others. The topics are created step by step: a broker makes a file for each partition and
        can need minutes for thousands, so the deadline of the wait for leaders counts for each step.

        Returns None or the error for each topic; `ConfigError` means a wrong setting, count or name. On return the
        created topics have leaders; `BrokerUnavailableError` is raised if they have none before the deadline. If the
        answer to a creation is lost, the retry finds an existing topic, which counts as created if it is as specified.
        A topic that this user is not allowed to describe gets its error before any topic is created, because the run
        could not use it.

        A topic with more partitions than one request can create is created with fewer, and then gets the others.
        `validate_only` checks only the first of these requests. If adding fails, the topic stays with fewer partitions
        and its error says so.
        """
        by_name = {spec.name: spec for spec in specs}
        answers: Answers[str, None] = {}
        if not validate_only:
            hidden = {name: error for name, error in self._described(list(by_name)).items() if is_forbidden(error)}
            answers.update({name: error for name, error in hidden.items() if isinstance(error, AccessError)})
        wanted = {name: spec for name, spec in by_name.items() if name not in answers}
        if validate_only:
            parts = {name: first_part(spec) for name, spec in wanted.items()}
            answers.update(self._created(parts, validate_only=True))
        else:
            for step in by_weight(lambda name: max(1, wanted[name].partitions), LARGEST_STEP)(list(wanted)):
                answers.update(self._created_with_leaders({name: wanted[name] for name in step}))
        return {name: answers[name] for name in by_name}

    def _created_with_leaders(self, specs: Mapping[str, NewTopicSpec]) -> Answers[str, None]:
        parts = {name: first_part(spec) for name, spec in specs.items()}
        answers = self._created(parts, validate_only=False)
        for name in [name for name, error in answers.items() if error is None and parts[name] != specs[name]]:
            answers[name] = self._grown(specs[name])
        self._await_leaders({name: specs[name].partitions for name, error in answers.items() if error is None})
        return answers

    def _created(self, specs: Mapping[str, NewTopicSpec], *, validate_only: bool) -> Answers[str, None]:
        action = _topic_action("create", "Create")
        sent: Counter[str] = Counter()

        def send(attempt: Attempt, chunk: list[str]) -> dict[str, KafkaBackupError | None]:
            sent.update(chunk)
            part = [specs[name] for name in chunk]
            found = request_creation(attempt, part, validate_only=validate_only, timeout_ms=self._timeout_ms)
            return _answers(chunk, found, action)

        split = by_weight(lambda name: creation_weight(specs[name]), LARGEST_CHANGE)
        answers = self.answer_each(list(specs), send, action, split)
        for name, error in answers.items():
            exists = isinstance(error, BrokerError) and error.code == ErrorCode.TOPIC_ALREADY_EXISTS
            if exists and sent[name] > 1 and self._exists_as_specified(specs[name]):
                answers[name] = None
        return answers

    def _exists_as_specified(self, spec: NewTopicSpec) -> bool:
        found = self.describe_topics([spec.name])
        return bool(found) and is_as_specified(spec, found[0], self.topic_configs([spec.name])[spec.name])

    def _grown(self, spec: NewTopicSpec) -> KafkaBackupError | None:
        """Add the partitions that a topic was created without, in several requests. Returns the first error."""
        action = _topic_action("add partitions to", "Alter")
        for count in partition_counts(spec):

            def send(attempt: Attempt, chunk: list[str], count: int = count) -> dict[str, KafkaBackupError | None]:
                found = request_partitions(attempt, dict.fromkeys(chunk, count), timeout_ms=self._timeout_ms)
                return _answers(chunk, found, action)

            error = self.answer_each([spec.name], send, action)[spec.name]
            if error is not None and not self._has_partitions(spec.name, count):
                return type(error)(f"{error} Topic {spec.name} was created and has fewer than {count:,} partitions.")
        return None

    def _has_partitions(self, name: str, count: int) -> bool:
        """Whether the topic has at least this number of partitions: then an earlier request was executed, and its
        answer was lost."""
        return any(len(topic.partitions) >= count for topic in self.describe_topics([name]))

    def _await_leaders(self, partitions: Mapping[str, int]) -> None:
        """Wait until each topic has at least this number of partitions, and a leader for each that it has."""
        pending = list(partitions)

        def have_leaders() -> bool:
            found = self.describe_topics(pending)
            ready = {one.name for one in found if one.has_leaders and len(one.partitions) >= partitions[one.name]}
            pending[:] = [name for name in pending if name not in ready]
            return not pending

        self.await_that(have_leaders, f"The created topics have no leaders yet: {_some(list(partitions))}.")

    def delete_topics(self, names: Sequence[str]) -> dict[str, KafkaBackupError | None]:
        """Delete the topics with all their records. Returns None or the error for each topic.

        On return the brokers no longer describe the deleted topics. Raises `BrokerUnavailableError` if they still do
        after the deadline.
        """
        action = _topic_action("delete", "Delete")
        sent: Counter[str] = Counter()

        def send(attempt: Attempt, chunk: list[str]) -> dict[str, KafkaBackupError | None]:
            sent.update(chunk)
            return _answers(chunk, request_deletion(attempt, chunk, timeout_ms=self._timeout_ms), action)

        answers = self.answer_each(sorted(set(names)), send, action, by_number(_TOPICS_PER_REQUEST))
        for name, error in answers.items():
            if is_unknown_topic(error) and sent[name] > 1:  # an earlier request deleted it, but its answer was lost
                answers[name] = None
        deleted = [name for name, error in answers.items() if error is None]
        self.await_that(lambda: not self.describe_topics(deleted), f"The deleted topics still exist: {_some(deleted)}.")
        return answers

    def delete_topics_by_id(self, topic_ids: Sequence[str]) -> dict[str, KafkaBackupError | None]:
        """See `ClusterAdmin.delete_topics_by_id`. Raises `BrokerUnavailableError` if the brokers still describe a
        deleted topic after the deadline."""
        sent: Counter[str] = Counter()
        names: dict[str, str] = {}

        def action(topic_id: str) -> Action:
            return Action("delete", f"the topic with the id {topic_id}")

        def send(attempt: Attempt, chunk: list[str]) -> dict[str, KafkaBackupError | None]:
            sent.update(chunk)
            found = request_deletion_by_id(attempt, chunk, timeout_ms=self._timeout_ms)
            names.update({topic_id: one.name for topic_id, one in found.items() if one.name is not None})
            return _answers(chunk, {topic_id: one.failed for topic_id, one in found.items()}, action)

        answers = self.answer_each(sorted(set(topic_ids)), send, action, by_number(_TOPICS_PER_REQUEST))
        for topic_id, error in answers.items():
            if isinstance(error, TopicGoneError) and sent[topic_id] > 1:  # as in `delete_topics`
                answers[topic_id] = None
        deleted = {topic_id for topic_id, error in answers.items() if error is None}
        shown = sorted(names[topic_id] for topic_id in deleted & names.keys())
        self.await_that(
            lambda: deleted.isdisjoint(topic.topic_id for topic in self.describe_topics(shown)),
            f"The deleted topics still exist: {_some(shown)}.",
        )
        return answers

    # ── records ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def delete_records(self, before_offsets: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """See `ClusterAdmin.delete_records`."""

        def action(place: TopicPartition) -> Action:
            topic, partition = place
            return Action("delete records of", f"{topic}-{partition}", (Permission("Delete", "Topic", topic),))

        def send(attempt: Attempt, chunk: list[TopicPartition]) -> Answers[TopicPartition, int]:
            answers, by_leader = _by_leader(attempt, chunk, action)
            for leader, own in by_leader.items():
                offsets = {place: before_offsets[place] for place in own}
                try:
                    found = request_record_deletion(
                        attempt, attempt.broker(leader), offsets, timeout_ms=self._timeout_ms
                    )
                except InterruptedRunError:
                    raise
                except BrokerUnavailableError as error:
                    answers.update({place: lost_error(action(place), error) for place in own})
                else:
                    answers.update(_answers(own, found, action))
            return answers

        answers = self.answer_each(list(before_offsets), send, action, by_number(_PARTITIONS_PER_REQUEST))
        return values_or_raise(answers)


def _by_leader(
    attempt: Attempt, places: Sequence[TopicPartition], action: Callable[[TopicPartition], Action]
) -> tuple[Answers[TopicPartition, int], dict[int, list[TopicPartition]]]:
    """(the errors of the partitions whose leader is not known, the other partitions by the node id of their leader)."""
    topics = request_topics(attempt, sorted({topic for topic, _ in places}))
    answers: Answers[TopicPartition, int] = {}
    by_leader: dict[int, list[TopicPartition]] = defaultdict(list)
    for place in places:
        topic = topics.get(place[0], Failed(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION))
        if isinstance(topic, Failed):
            answers[place] = error_for_code(topic.code, action(place), topic.message)
            continue
        own = [one for one in topic.topic.partitions if one.partition == place[1]]
        if not own:
            answers[place] = error_for_code(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, action(place))
        elif own[0].leader is None:
            answers[place] = error_for_code(ErrorCode.LEADER_NOT_AVAILABLE, action(place))
        else:
            by_leader[own[0].leader].append(place)
    return answers, by_leader


def _answers(keys: Sequence[K], found: Mapping[K, V | Failed], action: Callable[[K], Action]) -> Answers[K, V]:
    """The answer for each key, with errors of this program instead of Kafka's codes."""
    return {key: _answer(found, key, action(key)) for key in keys}


def _answer(found: Mapping[K, V | Failed], key: K, action: Action) -> V | KafkaBackupError:
    if key not in found:
        return BrokerError(f"Cannot {action}: Kafka's answer does not contain it.")
    answer = found[key]
    return error_for_code(answer.code, action, answer.message) if isinstance(answer, Failed) else answer


def _contradiction(name: str, change: ConfigChange) -> ConfigError | None:
    both = sorted(set(change.to_set) & set(change.to_delete))
    if not both:
        return None
    return ConfigError(f"Cannot change the settings of topic {name}: {both[0]} is both set and removed.")


def _topic_action(verb: str, operation: str) -> Callable[[str], Action]:
    return lambda name: Action(verb, f"topic {name}", (Permission(operation, "Topic", name),))


def _some(names: Sequence[str], most: int = 10) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
