"""Groups are listed only while every group has a coordinator, because otherwise some groups would be missing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import pytest

from tasks.broker.admin_values import CommittedOffset, GroupListing, PartitionDescription, TopicDescription
from tasks.broker.ports import ClusterAdmin
from tasks.engine.source.group_state import read_groups
from tasks.model.errors import AccessError, BrokerUnavailableError, KafkaBackupError

Leaders = Sequence[int | None] | KafkaBackupError


class Describing:
    """A cluster that returns these leaders of `__consumer_offsets` one after the other. The last ones repeat."""

    location = "here"

    def __init__(self, *leaders: Leaders) -> None:
        self._leaders = list(leaders)
        self.listings = 0

    def describe_topics(self, names: Sequence[str]) -> list[TopicDescription]:
        """Returns the topic `__consumer_offsets`."""
        assert ["__consumer_offsets"] == list(names)
        leaders = self._leaders.pop(0) if len(self._leaders) > 1 else self._leaders[0]
        if isinstance(leaders, KafkaBackupError):
            raise leaders
        parts = tuple(
            PartitionDescription(partition=number, leader=leader, replicas=(1,), isr=(1,))
            for number, leader in enumerate(leaders)
        )
        return [TopicDescription(name=names[0], topic_id="id", is_internal=True, partitions=parts)]

    def require_on_cluster(self, attempt: object) -> None:
        """Everything is allowed."""

    def list_groups(self) -> list[GroupListing]:
        """Returns one group, with another name in each listing."""
        self.listings += 1
        name = f"billing-{self.listings - 1}"
        return [GroupListing(group_id=name, group_type="classic", state="Empty", protocol_type="consumer")]

    def committed_offsets(self, group_ids: Sequence[str]) -> dict[str, list[CommittedOffset]]:
        """Returns no offsets for any group."""
        return {group_id: [] for group_id in group_ids}

    def await_that(self, is_so: Callable[[], bool], complaint: str) -> None:
        """Checks the condition ten times."""
        if not any(is_so() for _ in range(10)):
            raise BrokerUnavailableError(complaint)


def _listed(*leaders: Leaders) -> int:
    """Returns how often the groups were listed. Asserts that the result is the last list."""
    admin = Describing(*leaders)

    state, denied = read_groups(cast(ClusterAdmin, admin))

    assert ([f"billing-{admin.listings - 1}"], ()) == ([group.group for group in state.groups], denied)
    return admin.listings


def test_groups_are_listed_once_if_no_leader_changes() -> None:
    assert 1 == _listed([1, 2, 3])


def test_groups_are_listed_after_every_partition_has_a_leader() -> None:
    assert 1 == _listed([1, None], [1, None], [1, 2])


def test_groups_are_listed_again_if_a_leader_changed_during_the_list() -> None:
    assert 2 == _listed([1, 2], [1, 1])


def test_groups_are_not_listed_without_a_leader() -> None:
    with pytest.raises(BrokerUnavailableError, match="__consumer_offsets have no leader"):
        _listed([1, None])


def test_groups_are_listed_for_a_user_who_cannot_describe_the_topic() -> None:
    assert 1 == _listed(AccessError("not allowed"))
