"""The picture of a cluster's state, made from the state objects of a point or from those that were read just now."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from tasks.broker.admin_values import AclBinding, QuotaEntity
from tasks.model.partition import Incarnation
from tasks.repository.restore_point import RestorePoint
from tasks.repository.state_objects import ClientsState, GroupsState, TopicsState, TopicState

Section = Literal["topics", "groups", "acls", "quotas", "users"]
SECTIONS: Final[tuple[Section, ...]] = ("topics", "groups", "acls", "quotas", "users")

NOT_INCLUDED: Final = "not included in this backup"


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicPicture:
    """A topic with its own settings. `topic_id` is None if the ids are not compared. A replication factor or a value
    that comes from the brokers is not an own setting."""

    topic_id: str | None
    partitions: int
    replication_factor: int
    settings: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterPicture:
    """The state of a cluster. `groups` are positions by group, and by topic and partition. `users` are the iterations
    by user and mechanism. A section that is None has its reason in `absent`. `unreadable_groups` are the groups whose
    positions could not be read, with the reasons."""

    topics: Mapping[str, TopicPicture]
    groups: Mapping[str, Mapping[tuple[str, int], int]] | None
    acls: frozenset[AclBinding] | None
    quotas: Mapping[QuotaEntity, Mapping[str, float]] | None
    users: Mapping[str, Mapping[str, int]] | None
    absent: Mapping[Section, str] = field(default_factory=dict)
    unreadable_groups: Mapping[str, str] = field(default_factory=dict)


def picture_of_point(point: RestorePoint) -> ClusterPicture:
    """What the point contains. Topics that did not exist any more at the point are left out."""
    states = point.topics.model_copy(update={"topics": tuple(live_states(point))})
    return picture_of(states, point.groups, point.clients, groups_absent=point.entry.groups_failure)


def live_states(point: RestorePoint) -> list[TopicState]:
    """The states of the topics that existed at the point, in order."""
    rows = {source.incarnation for source in point.rows}
    live = {source.incarnation for source, row in point.rows.items() if row.is_live}
    return [
        state
        for state in point.topics.topics
        if (one := Incarnation(state.topic, state.topic_id)) in live or one not in rows
    ]


def picture_of(
    topics: TopicsState, groups: GroupsState | None, clients: ClientsState | None, *, groups_absent: str | None = None
) -> ClusterPicture:
    """The picture of these states. Pure."""
    absent: dict[Section, str] = {}
    if groups is None:
        absent["groups"] = groups_absent or NOT_INCLUDED
    if topics.acls_absent is not None:
        absent["acls"] = topics.acls_absent
    absent.update(_client_reasons(clients))
    return ClusterPicture(
        topics={state.topic: topic_picture(state) for state in topics.topics},
        groups=None if groups is None else _positions(groups),
        acls=None if "acls" in absent else frozenset(_binding(acl.model_dump()) for acl in topics.acls),
        quotas=None if "quotas" in absent or clients is None else _quotas(clients),
        users=None if "users" in absent or clients is None else _users(clients),
        absent=absent,
        unreadable_groups={one.group: one.failure for one in groups.groups if one.failure} if groups else {},
    )


def topic_picture(state: TopicState) -> TopicPicture:
    """The topic with its own settings. Pure."""
    return TopicPicture(
        topic_id=state.topic_id,
        partitions=state.partitions,
        replication_factor=state.replication_factor,
        settings=state.topic_settings(),
    )


def without(picture: ClusterPicture, sections: Collection[Section], reason: str) -> ClusterPicture:
    """The picture without some sections, which are absent for this reason. Topics stay. Pure."""
    absent = {**picture.absent, **dict.fromkeys(sections, reason)}
    return ClusterPicture(
        topics=picture.topics,
        groups=None if "groups" in absent else picture.groups,
        acls=None if "acls" in absent else picture.acls,
        quotas=None if "quotas" in absent else picture.quotas,
        users=None if "users" in absent else picture.users,
        absent=absent,
        unreadable_groups={} if "groups" in absent else picture.unreadable_groups,
    )


def _client_reasons(clients: ClientsState | None) -> dict[Section, str]:
    if clients is None:
        return {"quotas": NOT_INCLUDED, "users": NOT_INCLUDED}
    found: dict[Section, str | None] = {"quotas": clients.quotas_absent, "users": clients.users_absent}
    return {section: reason for section, reason in found.items() if reason is not None}


def _positions(groups: GroupsState) -> dict[str, dict[tuple[str, int], int]]:
    return {
        group.group: {(one.topic, one.partition): one.offset for one in group.positions}
        for group in groups.groups
        if group.failure is None
    }


def _binding(values: Mapping[str, str]) -> AclBinding:
    return AclBinding(**{name: values[name] for name in AclBinding.__dataclass_fields__})


def _quotas(clients: ClientsState) -> dict[QuotaEntity, Mapping[str, float]]:
    return {tuple((part.type, part.name) for part in quota.entity): quota.values for quota in clients.quotas}


def _users(clients: ClientsState) -> dict[str, dict[str, int]]:
    return {user.user: {one.mechanism: one.iterations for one in user.credentials} for user in clients.users}
