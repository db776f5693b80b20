"""Bins: the units of parallel work, balanced by bytes."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from tasks.repository.plans import PlannedPartition

MAX_TASKS = 256
"""Most task runs of one flow run."""

PARTITIONS_AT_ONCE = 4
"""Partitions of a bin that a restore replays at the same time. They share requests; each holds a frame in memory."""

MAX_BINS = MAX_TASKS - 6
"""Most bins where each is a task run: some steps come before and after. Beyond that, partitions share bins."""


def bins_to_capture(planned: Sequence[PlannedPartition], most_bins: int) -> tuple[tuple[int, ...], ...]:
    """The bins of a plan, as indexes of its partitions: one for each partition with something to read, and one for all
    others, which take no time. Where that would make more than `most_bins`, all are balanced over so many."""
    busy = [(index,) for index, part in enumerate(planned) if part.start < part.end]
    idle = tuple(index for index, part in enumerate(planned) if part.start >= part.end)
    bins = (*busy, *([idle] if idle else ()))
    return bins if len(bins) <= most_bins else balance([part.bytes for part in planned], most_bins)


def balance(sizes_bytes: Sequence[int], most_bins: int) -> tuple[tuple[int, ...], ...]:
    """Distribute the indexes of `sizes_bytes` over at most `most_bins` bins, largest first into the lightest bin.

    Deterministic; no bin is empty; indexes inside a bin ascend, so that neighbours in a topic are read together.
    """
    count = min(most_bins, len(sizes_bytes))
    loads = [(0, number) for number in range(count)]
    bins: list[list[int]] = [[] for _ in range(count)]
    for index in sorted(range(len(sizes_bytes)), key=lambda index: (-sizes_bytes[index], index)):
        load, number = heapq.heappop(loads)
        bins[number].append(index)
        # An empty partition still costs a request, hence at least one byte: idle partitions spread evenly.
        heapq.heappush(loads, (load + max(sizes_bytes[index], 1), number))
    return tuple(tuple(sorted(members)) for members in bins)
