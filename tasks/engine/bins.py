"""Bins: the units of parallel work of a plan, how many there are, and how partitions are distributed over them. A flow
shows each bin as a task; the command shows none."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from tasks.repository.plans import PlannedPartition

Bins = tuple[tuple[int, ...], ...]
"""The bins of a plan, each as indexes of the plan's partitions. Every partition is in one bin."""

MAX_BINS = 256
"""The largest number of bins in a flow, where each bin is a task. Up to this many partitions have a task of their
own."""

BINS_PER_WORKER = 4
"""Bins for each worker, enough to balance the load. The command makes no more, so that small partitions share bins. A
flow with more than `MAX_BINS` partitions makes no fewer."""

BIN_BYTES = 32 << 20
"""The size of the bins that partitions share in a flow with more than `MAX_BINS` partitions, or in a cycle of a
continuous backup. A smaller bin takes less time than the orchestrator needs for a task. It is also the size of a data
object."""

PARTITIONS_AT_ONCE = 4
"""The number of partitions of a bin that a restore replays at the same time. They share requests, and each of them
holds a frame in memory."""


def bins_to_capture(planned: Sequence[PlannedPartition], most_bins: int, workers: int) -> Bins:
    """The bins of a plan for a backup, as indexes of its partitions. Pure.

    Each partition with something to read has a bin of its own, and all others share one, because they take no time. If
    that makes more than `most_bins` bins, all partitions are distributed over as many bins as `shared_bins` returns.
    """
    bins = one_bin_each([part.start < part.end for part in planned])
    if len(bins) <= most_bins:
        return bins
    sizes = [part.bytes for part in planned]
    return balance(sizes, shared_bins(sum(sizes), most_bins, workers))


def one_bin_each(busy: Sequence[bool]) -> Bins:
    """A bin for each index that is busy, in order, and then one bin for all other indexes. Pure."""
    idle = tuple(index for index, is_busy in enumerate(busy) if not is_busy)
    return (*((index,) for index, is_busy in enumerate(busy) if is_busy), *([idle] if idle else ()))


def shared_bins(total_bytes: int, most_bins: int, workers: int) -> int:
    """The number of bins for partitions that share bins: one for each `BIN_BYTES`, but at least `BINS_PER_WORKER` for
    each worker and at most `most_bins`. More would not be worth their overhead. Pure."""
    return min(most_bins, max(workers * BINS_PER_WORKER, -(-total_bytes // BIN_BYTES)))


def balance(sizes_bytes: Sequence[int], most_bins: int) -> Bins:
    """Distribute the indexes of `sizes_bytes` over at most `most_bins` bins, the largest first, each into the lightest
    bin.

    Equal arguments give equal bins. No bin is empty. The indexes in a bin ascend, so that neighbours in a topic are
    read together. Pure.
    """
    count = min(most_bins, len(sizes_bytes))
    loads = [(0, number) for number in range(count)]
    bins: list[list[int]] = [[] for _ in range(count)]
    for index in sorted(range(len(sizes_bytes)), key=lambda index: (-sizes_bytes[index], index)):
        load, number = heapq.heappop(loads)
        bins[number].append(index)
        # An empty partition costs a request too. It counts as one byte, so that empty partitions spread evenly.
        heapq.heappush(loads, (load + max(sizes_bytes[index], 1), number))
    return tuple(tuple(sorted(members)) for members in bins)
