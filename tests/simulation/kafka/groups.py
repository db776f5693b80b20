"""Consumer groups: positions, members and coordinators.

Source: Kafka's GroupCoordinator, and KAFKA.md §7.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tasks.broker.admin_values import CommittedOffset, TopicPartition

POSITIONS_TOPIC = "__consumer_offsets"
LONGEST_METADATA = 4096


@dataclass(slots=True)
class Group:
    """One group. `pending` are the positions that an open transaction is about to commit. `refusal` is the error code
    with which its coordinator answers about its positions, or 0."""

    group_id: str
    group_type: str = "classic"
    protocol_type: str = ""
    members: int = 0
    positions: dict[TopicPartition, CommittedOffset] = field(default_factory=dict)
    pending: dict[TopicPartition, CommittedOffset] = field(default_factory=dict)
    refusal: int = 0

    @property
    def state(self) -> str:
        """Kafka's word."""
        return "Stable" if self.members else "Empty"


class Groups:
    """All groups of the cluster, by id."""

    def __init__(self) -> None:
        self.by_id: dict[str, Group] = {}

    def join(self, group_id: str, *, group_type: str = "classic") -> Group:
        """A consumer becomes a member; the group is made when there is none."""
        protocol = "share" if group_type == "share" else "consumer"
        group = self.by_id.setdefault(group_id, Group(group_id, group_type))
        group.protocol_type = protocol
        group.members += 1
        return group

    def leave(self, group_id: str) -> None:
        """A member goes; the group stays, with its positions."""
        self.by_id[group_id].members -= 1

    def commit(self, group_id: str, positions: Iterable[CommittedOffset]) -> None:
        """Write positions, as a member or an administrator does."""
        group = self.by_id.setdefault(group_id, Group(group_id))
        group.positions.update({(one.topic, one.partition): one for one in positions})

    def begin_commit(self, group_id: str, positions: Iterable[CommittedOffset]) -> None:
        """A transaction is about to commit positions: they are unstable until `end_commit`."""
        group = self.by_id.setdefault(group_id, Group(group_id))
        group.pending.update({(one.topic, one.partition): one for one in positions})

    def end_commit(self, group_id: str, *, is_committed: bool) -> None:
        """The transaction has ended."""
        group = self.by_id[group_id]
        if is_committed:
            group.positions.update(group.pending)
        group.pending.clear()

    def forget_topic(self, topic: str, *, drops_empty: bool) -> None:
        """A deleted topic's positions are gone. `drops_empty`: groups that nothing is left of go as well (3.9)."""
        for group in self.by_id.values():
            group.positions = {place: one for place, one in group.positions.items() if place[0] != topic}
        if drops_empty:
            self.by_id = {key: group for key, group in self.by_id.items() if group.members or group.positions}


def coordinator_of(group_id: str, partitions: int) -> int:
    """The partition of `__consumer_offsets` whose leader coordinates the group: Java's hash of the name."""
    return _java_hash(group_id) % partitions


def _java_hash(text: str) -> int:
    """`Utils.abs(text.hashCode())`."""
    units = text.encode("utf-16-be")
    number = 0
    for at in range(0, len(units), 2):
        number = (31 * number + int.from_bytes(units[at : at + 2], "big")) & 0xFFFFFFFF
    return abs(number - (1 << 32) if number >= 1 << 31 else number) & 0x7FFFFFFF
