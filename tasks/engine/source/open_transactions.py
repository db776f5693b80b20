"""Finds the producers whose open transactions hold back the ends of planned ranges."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.broker.ports import LogReader
from tasks.repository.plans import PlannedPartition


def with_open_transactions(log: LogReader, planned: Sequence[PlannedPartition]) -> tuple[PlannedPartition, ...]:
    """The ranges. A range whose end is held back by an open transaction gets its producer, if the leader reports it.
    The leaders are asked only about partitions that have records beyond the planned end."""
    held = [part.source for part in planned if part.high_watermark is not None and part.high_watermark > part.end]
    found = log.open_transactions(held) if held else {}
    return tuple(
        part.model_copy(update={"open_producer": opened.producer_id, "open_last_ms": opened.last_ms})
        if (opened := found.get(part.source)) is not None
        else part
        for part in planned
    )
