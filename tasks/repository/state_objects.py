"""State objects: the topics with their settings and ACLs, the consumer groups with their positions, and the quotas and
users of clients. Decides from its settings whether a topic is compacted, and how long it keeps tombstones."""

from __future__ import annotations

from typing import TypeVar

from tasks.broker.admin_values import DYNAMIC_TOPIC_CONFIG
from tasks.model.errors import DamagedError
from tasks.repository.compressed_objects import StoredRef, compress_object, put_content, read_stored
from tasks.repository.document import FORMAT_MAJOR, Document, check_major, encode_json, parse_json
from tasks.repository.names import state_key
from tasks.store.protocol import ObjectStore


class Setting(Document):
    """One config entry of a topic. `source` is a number of `ConfigSource`. The value of a sensitive entry is None,
    because Kafka does not return it."""

    name: str
    value: str | None
    source: int


class TopicState(Document):
    """A topic at the time of the plan."""

    topic: str
    topic_id: str
    is_internal: bool = False
    partitions: int
    replication_factor: int
    settings: tuple[Setting, ...] = ()

    @property
    def is_compacted(self) -> bool:
        """Whether a cleaner can have removed records. The policy can be the broker's default."""
        return any(entry.name == "cleanup.policy" and "compact" in (entry.value or "") for entry in self.settings)

    @property
    def delete_retention_ms(self) -> int:
        """How long a cleaner keeps tombstones. Kafka's default if the setting is not known."""
        found = [entry.value for entry in self.settings if entry.name == "delete.retention.ms" and entry.value]
        return int(found[0]) if found else 86_400_000

    def topic_settings(self) -> dict[str, str]:
        """The settings of the topic itself, without the broker's defaults and without sensitive settings, whose values
        are not known."""
        return {
            entry.name: entry.value
            for entry in self.settings
            if entry.source == DYNAMIC_TOPIC_CONFIG and entry.value is not None
        }


class AclState(Document):
    """One ACL binding, with Kafka's names of its values."""

    resource_type: str
    resource_name: str
    pattern_type: str
    principal: str
    host: str
    operation: str
    permission: str


class TopicsState(Document):
    """The topics of a point at the time of its plan, and all ACLs of the cluster. If the ACLs could not be read, `acls`
    is empty and `acls_absent` contains the reason."""

    format: int = FORMAT_MAJOR
    topics: tuple[TopicState, ...]
    acls: tuple[AclState, ...] = ()
    acls_absent: str | None = None


class GroupPosition(Document):
    """A committed offset. `topic_id` is the incarnation that had the topic's name at the time of the plan, None if
    there was none."""

    topic: str
    topic_id: str | None = None
    partition: int
    offset: int
    metadata: str = ""
    leader_epoch: int | None = None


class UnsettledPosition(Document):
    """A position that a transaction, which was still open, was about to replace."""

    topic: str
    partition: int


class GroupState(Document):
    """A group and its positions. If they could not be read, `failure` contains the reason.

    `unsettled` are the partitions whose positions an open transaction was about to replace. `positions` contains the
    positions before that.
    """

    group: str
    group_type: str
    state: str
    positions: tuple[GroupPosition, ...] = ()
    unsettled: tuple[UnsettledPosition, ...] = ()
    failure: str | None = None


class GroupsState(Document):
    """The groups of a point, with their positions. `not_covered` are the share groups, because their positions are not
    committed offsets."""

    format: int = FORMAT_MAJOR
    groups: tuple[GroupState, ...]
    not_covered: tuple[str, ...] = ()


class QuotaPart(Document):
    """One part of the entity that a quota is for: its type (`user`, `client-id`, `ip`) and name. The name None means
    the default of all clients without a quota of their own."""

    type: str
    name: str | None


class QuotaState(Document):
    """The quotas of one entity: values by Kafka's names."""

    entity: tuple[QuotaPart, ...]
    values: dict[str, float]


class CredentialState(Document):
    """One SCRAM credential, without its secret, because Kafka does not return secrets."""

    mechanism: str
    iterations: int


class UserState(Document):
    """A user with SCRAM credentials."""

    user: str
    credentials: tuple[CredentialState, ...]


class ClientsState(Document):
    """The quotas of clients and the users with SCRAM credentials, of the whole cluster. If the one or the other could
    not be read, it is empty and `quotas_absent` or `users_absent` contains the reason."""

    format: int = FORMAT_MAJOR
    quotas: tuple[QuotaState, ...]
    quotas_absent: str | None = None
    users: tuple[UserState, ...]
    users_absent: str | None = None


AnyState = TopicsState | GroupsState | ClientsState
StateT = TypeVar("StateT", TopicsState, GroupsState, ClientsState)


def write_state(store: ObjectStore, set_name: str, run: str, state: AnyState, *, newest: StoredRef | None) -> StoredRef:
    """Store the state. If it is equal to the newest point's state, nothing is stored and `newest` is returned: the
    reference to the existing object, with its seq."""
    stored, digest = compress_object(encode_json(state.to_json()))
    if newest is not None and newest.sha256 == digest:
        return newest
    key = state_key(set_name, run, digest)
    put_content(store, key, stored, digest)
    return StoredRef(key=key, sha256=digest, stored_bytes=len(stored))


def read_state(store: ObjectStore, ref: StoredRef, kind: type[StateT]) -> StateT:
    """The state that a reference names. Raises `DamagedError` if the object is missing, damaged or of the other kind,
    and `UnsupportedError` if a later version wrote it."""
    value = parse_json(read_stored(store, ref), key=ref.key)
    if not isinstance(value, dict):
        raise DamagedError(f"{ref.key} is not a state object", key=ref.key)
    check_major(value, key=ref.key)
    return kind.from_json(value, key=ref.key)
