"""The bins of a plan as task runs, named after their partitions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tasks.model.partition import Partition


@dataclass(frozen=True, slots=True)
class BinTask:
    """One bin of a plan. `label` is the name of the task run: `orders-3`, or `orders-3 and 11 more`."""

    number: int
    label: str


def bin_tasks_of(bins: Sequence[Iterable[Partition]]) -> tuple[BinTask, ...]:
    """The tasks for the bins of a plan. Each bin is given as the partitions in it, at least one. Pure."""
    return tuple(BinTask(number, _label(set(sources))) for number, sources in enumerate(bins))


def _label(sources: set[Partition]) -> str:
    first = min(sources)
    return f"{first} and {len(sources) - 1:,} more" if len(sources) > 1 else str(first)
