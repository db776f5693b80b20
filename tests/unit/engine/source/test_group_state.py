"""Groups are listed while all of them have a coordinator; otherwise some would be missing without a word."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import pytest

from tasks.broker.admin.admin import Admin
from tasks.broker.admin_values import GroupListing, PartitionDescription, TopicDescription
from tasks.engine.source import group_state
from tasks.model.errors import AccessError, BrokerUnavailableError, KafkaBackupError

Leaders = Sequence[int | None] | KafkaBackupError


class Describing:
    """Says each time the next of these leaders of `__consumer_offsets`; the last ones for ever."""

    location = "here"

    def __init__(self, *leaders: Leaders) -> None:
        self._leaders = list(leaders)

    def describe_topics(self, names: Sequence[str]) -> list[TopicDescription]:
        """The topic that was asked for."""
        assert ["__consumer_offsets"] == list(names)
        leaders = self._leaders.pop(0) if len(self._leaders) > 1 else self._leaders[0]
        if isinstance(leaders, KafkaBackupError):
            raise leaders
        parts = tuple(
            PartitionDescription(partition=number, leader=leader, replicas=(1,), isr=(1,))
            for number, leader in enumerate(leaders)
        )
        return [TopicDescription(name=names[0], topic_id="id", is_internal=True, partitions=parts)]

    def await_that(self, is_so: Callable[[], bool], complaint: str) -> None:
        """Asks ten times."""
        if not any(is_so() for _ in range(10)):
            raise BrokerUnavailableError(complaint)


def _listed(monkeypatch: pytest.MonkeyPatch, *leaders: Leaders) -> int:
    """How often the groups were listed; the groups must be the last listing's."""
    listings: list[list[GroupListing]] = []

    def list_groups(admin: object) -> list[GroupListing]:
        name = f"billing-{len(listings)}"
        listings.append([GroupListing(group_id=name, group_type="classic", state="Empty", protocol_type="consumer")])
        return listings[-1]

    monkeypatch.setattr(group_state, "require_on_cluster", lambda *asked: None)
    monkeypatch.setattr(group_state, "list_groups", list_groups)
    monkeypatch.setattr(group_state, "committed_offsets", lambda admin, groups: {group: [] for group in groups})

    state, denied = group_state.read_groups(cast(Admin, Describing(*leaders)))

    assert ([listings[-1][0].group_id], ()) == ([group.group for group in state.groups], denied)
    return len(listings)


def test_groups_are_listed_once_when_nothing_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 1 == _listed(monkeypatch, [1, 2, 3])


def test_a_partition_without_a_leader_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 1 == _listed(monkeypatch, [1, None], [1, None], [1, 2])


def test_groups_are_listed_again_when_a_coordinator_moved_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 2 == _listed(monkeypatch, [1, 2], [1, 1])


def test_without_a_leader_there_is_no_listing_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BrokerUnavailableError, match="__consumer_offsets have no leader"):
        _listed(monkeypatch, [1, None])


def test_who_may_not_look_lists_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 1 == _listed(monkeypatch, AccessError("not allowed"))
