"""Consumer groups and their positions, as a point keeps them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tasks.broker.admin_values import CommittedOffset, GroupListing, TopicDescription
from tasks.broker.ports import ClusterAdmin
from tasks.broker.translation import SEES_ALL_GROUPS, Action
from tasks.model.errors import AccessError, KafkaBackupError
from tasks.repository.state_objects import GroupPosition, GroupsState, GroupState

_POSITIONS_TOPIC = "__consumer_offsets"

COVERED_TYPES = ("classic", "consumer")
"""Kinds of group whose positions are committed offsets; share groups keep theirs elsewhere."""


def read_groups(admin: ClusterAdmin) -> tuple[GroupsState, tuple[str, ...]]:
    """Every group with its positions, and what this user is not allowed to read of them.

    A group that could not be read says why; the others are not held up by it. Raises when the groups cannot all be
    listed: an empty answer must never stand for a failed one.
    """
    admin.require_on_cluster(Action("see every group of", admin.location, (SEES_ALL_GROUPS,)))
    listings = _settled_listings(admin)
    covered = [listing for listing in listings if listing.group_type.lower() in COVERED_TYPES]
    answers = admin.committed_offsets([listing.group_id for listing in covered])
    denied = tuple(str(answer) for answer in answers.values() if isinstance(answer, AccessError))
    state = GroupsState(
        groups=tuple(
            _group(listing, answers[listing.group_id]) for listing in sorted(covered, key=lambda one: one.group_id)
        ),
        not_covered=tuple(sorted(f"{one.group_id} ({one.group_type} group)" for one in listings if one not in covered)),
    )
    return state, denied


def _settled_listings(admin: ClusterAdmin) -> list[GroupListing]:
    """All groups, listed while each had its coordinator: a group whose partition of `__consumer_offsets` has no leader,
    or gets another one that was asked already, is in no broker's list, and nothing says so.

    Where this user may not describe that topic nobody can tell. Raises `BrokerUnavailableError` after the deadline.
    """
    found: list[GroupListing] = []

    def is_settled() -> bool:
        before = _coordinators(admin)
        if None in before:
            return False
        found[:] = admin.list_groups()
        return before == _coordinators(admin)

    admin.await_that(
        is_settled,
        f"Partitions of {_POSITIONS_TOPIC} have no leader or change it: groups that they keep are in no list.",
    )
    return found


def _coordinators(admin: ClusterAdmin) -> list[int | None]:
    """The leaders of the partitions that keep groups."""
    try:
        topics = admin.describe_topics([_POSITIONS_TOPIC])
    except AccessError:
        return []
    return [partition.leader for topic in topics for partition in topic.partitions]


def groups_of_topics(state: GroupsState, topics: Sequence[TopicDescription]) -> GroupsState:
    """The positions on these topics, with the topics' ids; groups without any of them, or a failure, are left out."""
    ids = {topic.name: topic.topic_id for topic in topics}
    groups = [_with_ids(group, ids) for group in state.groups]
    return state.model_copy(
        update={"groups": tuple(group for group in groups if group.positions or group.failure is not None)}
    )


def _with_ids(group: GroupState, ids: Mapping[str, str]) -> GroupState:
    positions = tuple(
        position.model_copy(update={"topic_id": ids[position.topic]})
        for position in group.positions
        if position.topic in ids
    )
    return group.model_copy(update={"positions": positions})


def _group(listing: GroupListing, answer: Sequence[CommittedOffset] | KafkaBackupError) -> GroupState:
    if isinstance(answer, KafkaBackupError):
        return GroupState(
            group=listing.group_id, group_type=listing.group_type, state=listing.state, failure=str(answer)
        )
    positions = [
        GroupPosition(
            topic=one.topic,
            partition=one.partition,
            offset=one.offset,
            metadata=one.metadata,
            leader_epoch=one.leader_epoch,
        )
        for one in answer
    ]
    positions.sort(key=lambda one: (one.topic, one.partition))
    return GroupState(
        group=listing.group_id, group_type=listing.group_type, state=listing.state, positions=tuple(positions)
    )
