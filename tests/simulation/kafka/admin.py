"""The `ClusterAdmin` of a simulated cluster. Topics and settings are here, groups and permissions beside it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from tasks.broker.admin.admin_requests import values_or_raise
from tasks.broker.admin.broker_defaults import TOPIC_DEFAULTS
from tasks.broker.admin.topics import is_as_specified
from tasks.broker.admin_values import (
    AclBinding,
    ClientQuota,
    CommittedOffset,
    ConfigChange,
    ConfigEntry,
    GroupDescription,
    GroupListing,
    NewTopicSpec,
    QuotaEntity,
    ScramUser,
    TopicDescription,
    TopicPartition,
)
from tasks.broker.translation import Action, Permission
from tasks.model.errors import BrokerUnavailableError, ConfigError, KafkaBackupError, TopicGoneError
from tests.simulation.kafka import client_admin, group_admin, permission_admin
from tests.simulation.kafka.calls import Client, T
from tests.simulation.kafka.refusals import (
    OFFSET_OUT_OF_RANGE,
    POLICY_VIOLATION,
    TOPIC_ALREADY_EXISTS,
    TOPIC_AUTHORIZATION_FAILED,
    UNKNOWN_TOPIC_ID,
    UNKNOWN_TOPIC_OR_PARTITION,
    Refused,
)
from tests.simulation.kafka.topics import Topic

_TO_THE_END = -1


class SimulatedAdmin:
    """Administers the cluster for one user. Safe to use from several threads."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._kafka = client.kafka

    @property
    def location(self) -> str:
        """See `ClusterAdmin.location`."""
        return f"the simulated cluster {self._kafka.cluster_id}"

    def cluster_id(self) -> str:
        """See `ClusterAdmin.cluster_id`."""
        return self.client.call("admin.cluster_id", "", lambda attempt: self._kafka.cluster_id)

    def node_count(self) -> int:
        """See `ClusterAdmin.node_count`."""
        return self.client.call("admin.node_count", "", lambda attempt: len(self._kafka.brokers.alive))

    def describe_topics(self, names: Sequence[str] | None = None) -> list[TopicDescription]:
        """See `ClusterAdmin.describe_topics`."""
        waits_for_all = names is None
        wanted = self.client.call("admin.list_topics", "", lambda attempt: self._visible()) if names is None else names

        def described(name: str, attempt: int) -> TopicDescription | None:
            self._kafka.permissions.require(self.client.user, Permission("Describe", "Topic", name))
            topic = self._kafka.topics.by_name.get(name) if waits_for_all else self._kafka.topics.seen(name)
            return None if topic is None else topic.described()

        answers = values_or_raise(
            self._each("admin.describe_topics", sorted(set(wanted)), described, "describe", "Describe")
        )
        return [topic for topic in answers.values() if topic is not None]

    def _visible(self) -> list[str]:
        return [name for name in self._kafka.topics.by_name if self.client.may("Describe", "Topic", name)]

    def topic_configs(self, names: Sequence[str]) -> dict[str, tuple[ConfigEntry, ...]]:
        """See `ClusterAdmin.topic_configs`."""
        found = self.known_topic_configs(names)
        for name in (name for name in names if name not in found):
            raise TopicGoneError(f"Topic {name} does not exist (any more).")
        return found

    def known_topic_configs(self, names: Sequence[str]) -> dict[str, tuple[ConfigEntry, ...]]:
        """See `ClusterAdmin.known_topic_configs`. A broker without the topic in its metadata is asked again."""

        def entries(name: str, attempt: int) -> tuple[ConfigEntry, ...] | None:
            self._kafka.permissions.require(self.client.user, Permission("DescribeConfigs", "Topic", name))
            self._kafka.topics.hidden_answers.pop(name, None)
            topic = self._kafka.topics.by_name.get(name)
            return None if topic is None else topic.settings.entries()

        answers = self._each(
            "admin.topic_configs", sorted(set(names)), entries, "read the settings of", "DescribeConfigs"
        )
        return {name: found for name, found in values_or_raise(answers).items() if found is not None}

    def topic_defaults(self) -> dict[str, str]:
        """See `ClusterAdmin.topic_defaults`."""
        names = [name for name in TOPIC_DEFAULTS if name in self._kafka.broker_settings.known]

        def defaults(attempt: int) -> dict[str, str]:
            if not self.client.may("DescribeConfigs", "Cluster"):
                return {}
            return {name: self._kafka.broker_settings.text(name) for name in names}

        return self.client.call("admin.topic_defaults", "", defaults)

    def create_topics(
        self, specs: Sequence[NewTopicSpec], *, validate_only: bool = False
    ) -> dict[str, KafkaBackupError | None]:
        """See `ClusterAdmin.create_topics`. After a lost answer a topic as specified counts as created."""
        by_name = {spec.name: spec for spec in specs}

        def create(name: str, attempt: int) -> None:
            if not self.client.may("Create", "Cluster") and not self.client.may("Create", "Topic", name):
                raise Refused(TOPIC_AUTHORIZATION_FAILED)
            try:
                self._kafka.create(by_name[name], validate_only=validate_only)
            except Refused as refused:
                if refused.code != TOPIC_ALREADY_EXISTS or attempt == 1 or not self._is_as_specified(by_name[name]):
                    raise

        hidden = {} if validate_only else self._hidden(by_name, "describe", "Describe")
        wanted = [name for name in by_name if name not in hidden]
        answers = hidden | self._each("admin.create_topics", wanted, create, "create", "Create")
        if not validate_only:
            self.describe_topics([name for name, error in answers.items() if error is None])  # as the real one waits
        return {name: answers[name] for name in by_name}

    def _is_as_specified(self, spec: NewTopicSpec) -> bool:
        topic = self._kafka.topics.by_name[spec.name]
        return is_as_specified(spec, topic.described(), topic.settings.entries())

    def delete_topics(self, names: Sequence[str]) -> dict[str, KafkaBackupError | None]:
        """See `ClusterAdmin.delete_topics`."""

        def delete(name: str, attempt: int) -> None:
            if not self.client.may("Delete", "Cluster") and not self.client.may("Delete", "Topic", name):
                raise Refused(TOPIC_AUTHORIZATION_FAILED)
            try:
                self._kafka.delete_topic(name)
            except Refused:
                if attempt == 1:
                    raise

        return self._each("admin.delete_topics", sorted(set(names)), delete, "delete", "Delete")

    def delete_topics_by_id(self, topic_ids: Sequence[str]) -> dict[str, KafkaBackupError | None]:
        """See `ClusterAdmin.delete_topics_by_id`."""

        def delete(topic_id: str, attempt: int) -> None:
            name = next((one.name for one in self._kafka.topics.by_name.values() if one.topic_id == topic_id), None)
            if name is None:
                if attempt == 1:
                    raise Refused(UNKNOWN_TOPIC_ID)
                return
            if not self.client.may("Delete", "Cluster") and not self.client.may("Delete", "Topic", name):
                raise Refused(TOPIC_AUTHORIZATION_FAILED)
            self._kafka.delete_topic(name)

        def action(topic_id: str) -> Action:
            return Action("delete", f"the topic with the id {topic_id}")

        return self.client.call_each("admin.delete_topics_by_id", sorted(set(topic_ids)), delete, action)

    def alter_topic_configs(
        self, name: str, to_set: Mapping[str, str], to_delete: Collection[str], *, validate_only: bool = False
    ) -> None:
        """See `ClusterAdmin.alter_topic_configs`."""
        change = ConfigChange(to_set=to_set, to_delete=to_delete)
        for error in self.alter_topics({name: change}, validate_only=validate_only).values():
            if error is not None:
                raise error

    def alter_topics(
        self, changes: Mapping[str, ConfigChange], *, validate_only: bool = False
    ) -> dict[str, KafkaBackupError | None]:
        """See `ClusterAdmin.alter_topics`."""
        answers: dict[str, KafkaBackupError | None] = dict.fromkeys(changes)
        wanted = []
        for name, change in changes.items():
            if set(change.to_set) & set(change.to_delete):
                answers[name] = ConfigError(f"Cannot change the settings of topic {name}: one is both set and removed.")
            elif change:
                wanted.append(name)
        if not validate_only:
            answers.update(self._hidden(wanted, "read the settings of", "DescribeConfigs"))

        def alter(name: str, attempt: int) -> None:
            self._kafka.permissions.require(self.client.user, Permission("AlterConfigs", "Topic", name))
            to_set, to_delete = changes[name].to_set, changes[name].to_delete
            if set(to_set) & set(to_delete):
                raise ConfigError(f"Cannot change the settings of topic {name}: a setting is both set and deleted.")
            settings = self._known(name).settings
            changed = settings.changed(changes[name].to_set, changes[name].to_delete)
            self._kafka.check_policy(changes[name].to_set)
            if not validate_only:
                settings.own = changed

        wanted = [name for name in wanted if answers[name] is None]
        if wanted:
            done = self._each("admin.alter_topics", wanted, alter, "change the settings of", "AlterConfigs")
            answers.update(done)
            if not validate_only:
                self.topic_configs([name for name, error in done.items() if error is None])  # waits as the real one
        return answers

    def _hidden(self, names: Collection[str], verb: str, operation: str) -> dict[str, KafkaBackupError | None]:
        """The errors of the topics on which this user is not allowed to do this. They are found before a change."""

        def refused(name: str) -> KafkaBackupError | None:
            needs = Permission(operation, "Topic", name)
            try:
                self._kafka.permissions.require(self.client.user, needs)
            except Refused as refused:
                return refused.as_error(Action(verb, f"topic {name}", (needs,)))
            return None

        return {name: error for name in names if (error := refused(name)) is not None}

    def _known(self, name: str) -> Topic:
        if name not in self._kafka.topics.by_name:
            raise Refused(UNKNOWN_TOPIC_OR_PARTITION, f"The topic '{name}' does not exist")
        return self._kafka.topics.by_name[name]

    def delete_records(self, before_offsets: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """See `ClusterAdmin.delete_records`."""

        def attempt(place: TopicPartition) -> Action:
            return Action("delete records of", f"{place[0]}-{place[1]}", (Permission("Delete", "Topic", place[0]),))

        def delete(place: TopicPartition, number: int) -> int:
            return self._delete_records(place, before_offsets[place])

        return values_or_raise(self.client.call_each("admin.delete_records", list(before_offsets), delete, attempt))

    def _delete_records(self, place: TopicPartition, before: int) -> int:
        led = self._kafka.topics.place(place)
        if led is None:
            raise Refused(UNKNOWN_TOPIC_OR_PARTITION)
        self._kafka.permissions.require(self.client.user, Permission("Delete", "Topic", place[0]))
        if led.leader is None:
            raise BrokerUnavailableError(f"{place[0]}-{place[1]} has no leader.")
        if not self._known(place[0]).settings.has_policy("delete"):
            raise Refused(POLICY_VIOLATION)
        before = led.log.high_watermark if before == _TO_THE_END else before
        if not 0 <= before <= led.log.high_watermark:
            raise Refused(OFFSET_OUT_OF_RANGE)
        led.log.move_start(before)
        return led.log.log_start

    def _each(
        self,
        call: str,
        names: Sequence[str],
        act: Callable[[str, int], T],
        verb: str,
        operation: str,
    ) -> dict[str, T | KafkaBackupError]:
        def attempt(name: str) -> Action:
            return Action(verb, f"topic {name}", (Permission(operation, "Topic", name),))

        return self.client.call_each(call, names, act, attempt)

    # ── groups ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def list_groups(self) -> list[GroupListing]:
        """See `ClusterAdmin.list_groups`."""
        return group_admin.list_groups(self.client)

    def describe_groups(self, group_ids: Sequence[str]) -> list[GroupDescription]:
        """See `ClusterAdmin.describe_groups`."""
        return group_admin.describe_groups(self.client, group_ids)

    def committed_offsets(self, group_ids: Sequence[str]) -> dict[str, list[CommittedOffset] | KafkaBackupError]:
        """See `ClusterAdmin.committed_offsets`."""
        return group_admin.committed_offsets(self.client, group_ids)

    def commit_offsets(
        self, group_id: str, offsets: Sequence[CommittedOffset]
    ) -> dict[TopicPartition, KafkaBackupError | None]:
        """See `ClusterAdmin.commit_offsets`."""
        return group_admin.commit_offsets(self.client, group_id, offsets)

    def delete_groups(self, group_ids: Sequence[str]) -> dict[str, KafkaBackupError | None]:
        """See `ClusterAdmin.delete_groups`."""
        return group_admin.delete_groups(self.client, group_ids)

    # ── permissions ─────────────────────────────────────────────────────────────────────────────────────────────────

    def read_acls(self) -> tuple[tuple[AclBinding, ...], str | None]:
        """See `ClusterAdmin.read_acls`."""
        return permission_admin.read_acls(self.client, self.location)

    def create_acls(self, bindings: Collection[AclBinding]) -> dict[AclBinding, KafkaBackupError | None]:
        """See `ClusterAdmin.create_acls`."""
        return permission_admin.create_acls(self.client, bindings)

    def read_quotas(self) -> tuple[tuple[ClientQuota, ...], str | None]:
        """See `ClusterAdmin.read_quotas`."""
        return client_admin.read_quotas(self.client, self.location)

    def set_quotas(self, quotas: Sequence[ClientQuota]) -> dict[QuotaEntity, KafkaBackupError | None]:
        """See `ClusterAdmin.set_quotas`."""
        return client_admin.set_quotas(self.client, quotas)

    def read_users(self) -> tuple[tuple[ScramUser, ...], str | None]:
        """See `ClusterAdmin.read_users`."""
        return client_admin.read_users(self.client, self.location)

    def require_on_cluster(self, attempt: Action) -> None:
        """See `ClusterAdmin.require_on_cluster`."""
        permission_admin.require_on_cluster(self.client, attempt)

    def require_on_topics(self, operations: Mapping[str, Sequence[str]], attempt: Action) -> None:
        """See `ClusterAdmin.require_on_topics`."""
        permission_admin.require_on_topics(self.client, operations, attempt)

    def require_on_groups(self, operations: Mapping[str, Sequence[str]], attempt: Action) -> None:
        """See `ClusterAdmin.require_on_groups`."""
        permission_admin.require_on_groups(self.client, operations, attempt)

    # ── waiting ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def await_that(self, condition: Callable[[], bool], message: str) -> None:
        """See `ClusterAdmin.await_that`. The waits are simulated time."""
        deadline = self.client.deadline()
        while not condition():
            deadline.pause(BrokerUnavailableError(message))
