"""The parts of a flow run's work: each is one task run, named after what it works on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tasks.model.partition import Partition


@dataclass(frozen=True, slots=True)
class BinTask:
    """One bin of a plan. `label` names the task run: `orders-3`, or `bin 17 (12 partitions)`."""

    number: int
    label: str


def bin_tasks_of(bins: Sequence[Iterable[Partition]]) -> tuple[BinTask, ...]:
    """The parts for the bins of a plan, by the partitions in each. Pure."""
    return tuple(BinTask(number, _label(number, set(sources))) for number, sources in enumerate(bins))


def _label(number: int, sources: set[Partition]) -> str:
    if len(sources) == 1:
        return str(*sources)
    return f"bin {number} ({len(sources)} partitions)"
