"""Reads groups and their positions, in the form in which a point contains them. Decides which types of groups are
covered, and lists groups again if some moved to another broker meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tasks.broker.admin_values import POSITIONS_TOPIC, CommittedOffset, GroupListing
from tasks.broker.ports import ClusterAdmin
from tasks.broker.translation import SEES_ALL_GROUPS, Action
from tasks.model.errors import AccessError, KafkaBackupError
from tasks.model.quoting import quoted
from tasks.repository.state_objects import GroupPosition, GroupsState, GroupState, UnsettledPosition

COVERED_TYPES = ("classic", "consumer", "streams")
"""The types of groups whose positions are committed offsets. Kafka stores the positions of share groups elsewhere."""


def read_groups(admin: ClusterAdmin) -> tuple[GroupsState, tuple[str, ...]]:
    """(every group with its positions, the reasons for the groups that this user is not allowed to read).

    A group that could not be read has a `failure`; the other groups are read. Groups of a type that is not in
    `COVERED_TYPES` are only named. Raises `AccessError` or `BrokerUnavailableError` if not all groups can be listed,
    because an incomplete list would look like a cluster with fewer groups. Also raises other errors of `ClusterAdmin`.
    """
    admin.require_on_cluster(Action("see every group of", admin.location, (SEES_ALL_GROUPS,)))
    listings = _stable_listings(admin)
    covered = [listing for listing in listings if listing.group_type.lower() in COVERED_TYPES]
    answers = admin.committed_offsets([listing.group_id for listing in covered])
    denied = tuple(str(answer) for answer in answers.values() if isinstance(answer, AccessError))
    state = GroupsState(
        groups=tuple(
            _group(listing, answers[listing.group_id]) for listing in sorted(covered, key=lambda one: one.group_id)
        ),
        not_covered=tuple(
            sorted(f"{quoted(one.group_id)} ({one.group_type} group)" for one in listings if one not in covered)
        ),
    )
    return state, denied


def _stable_listings(admin: ClusterAdmin) -> list[GroupListing]:
    """List all groups while no group moves from one broker to another.

    The leader of a partition of `__consumer_offsets` coordinates the groups of the partition. A group is in no broker's
    list if its partition has no leader, or if the leader changes to a broker that has already sent its list. Kafka
    reports no error then. So the leaders before and after the list are compared, and the list is repeated if they
    changed. This check is not possible for a user who is not allowed to describe `__consumer_offsets`; then the first
    list is used.

    Raises `BrokerUnavailableError` if the leaders change until the deadline.
    """
    found: list[GroupListing] = []

    def is_stable() -> bool:
        before = _coordinators(admin)
        if None in before:
            return False
        found[:] = admin.list_groups()
        return before == _coordinators(admin)

    admin.await_that(
        is_stable,
        f"Some partitions of {POSITIONS_TOPIC} have no leader or change it, so the list of groups is not complete.",
    )
    return found


def _coordinators(admin: ClusterAdmin) -> list[int | None]:
    """The leaders of the partitions of `__consumer_offsets`. Empty if the topic does not exist, or if this user is not
    allowed to describe it."""
    try:
        topics = admin.describe_topics([POSITIONS_TOPIC])
    except AccessError:
        return []
    return [partition.leader for topic in topics for partition in topic.partitions]


def groups_of_topics(state: GroupsState, ids: Mapping[str, str]) -> GroupsState:
    """The groups with only their positions on these topics. Each position gets the topic's id. Pure.

    `ids` are the topic ids by name. They have to be read before the groups, so that no position gets the id of a topic
    that was created again later. A group without such a position is left out, unless it has a failure.
    """
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
    unsettled = tuple(one for one in group.unsettled if one.topic in ids)
    return group.model_copy(update={"positions": positions, "unsettled": unsettled})


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
    unsettled = sorted((one.topic, one.partition) for one in answer if one.is_unsettled)
    return GroupState(
        group=listing.group_id,
        group_type=listing.group_type,
        state=listing.state,
        positions=tuple(positions),
        unsettled=tuple(UnsettledPosition(topic=topic, partition=partition) for topic, partition in unsettled),
    )
