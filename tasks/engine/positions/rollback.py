"""Decides, for each position that a restore wrote, whether it is put back to what it was before. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tasks.broker.admin_values import CommittedOffset, TopicPartition
from tasks.repository.previous_positions import PreviousPosition, PreviousPositions

RollbackKind = Literal["put back", "remove", "is back", "moved"]
"""`put back`: the previous offset has to be written. `remove`: the group had no position. `is back`: nothing has to be
done. `moved`: the position is neither that of the restore nor the previous one, because the group went on."""


@dataclass(frozen=True, slots=True)
class RollbackStep:
    """The decision about the position of a group on a target partition. `present` is its offset now, None if it has
    none."""

    kind: RollbackKind
    previous: PreviousPosition
    present: int | None


def rollback_steps(
    recorded: Sequence[PreviousPositions],
    written: Mapping[tuple[str, str, int], int],
    present: Mapping[str, Mapping[TopicPartition, CommittedOffset]],
    *,
    also_moved: bool = False,
) -> list[RollbackStep]:
    """The steps in the order of groups, topics and partitions. `recorded` are the positions before each write, the
    newest first. `written` are the offsets of the restore by (group, topic, partition), `present` the positions now by
    group. With `also_moved` positions that have moved are put back too."""
    steps = []
    for place, offset in sorted(written.items()):
        previous = _previous(recorded, place, offset)
        if previous is not None:
            group, topic, partition = place
            now = present.get(group, {}).get((topic, partition))
            steps.append(_step(previous, offset, now.offset if now else None, also_moved=also_moved))
    return steps


def _previous(
    recorded: Sequence[PreviousPositions], place: tuple[str, str, int], written: int
) -> PreviousPosition | None:
    """The newest recorded position that is not the one of the restore: after a write that was interrupted, the next
    write records some of its own positions as previous ones."""
    for document in recorded:
        for one in document.positions:
            if (one.group, one.topic, one.partition) == place and one.offset != written:
                return one
    return None


def _step(previous: PreviousPosition, written: int, present: int | None, *, also_moved: bool) -> RollbackStep:
    if present == previous.offset:
        return RollbackStep("is back", previous, present)
    if present != written and not also_moved:
        return RollbackStep("moved", previous, present)
    return RollbackStep("remove" if previous.offset is None else "put back", previous, present)
