"""The bins of a restore: which partitions a worker, or a task, replays."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import chain

from tasks.engine.bins import PARTITIONS_AT_ONCE, Bins, balance, one_bin_each, shared_bins
from tasks.model.partition import Partition
from tasks.repository.lines import IndexLine
from tasks.repository.restores import PartitionCopy

Lines = Mapping[Partition, Sequence[IndexLine]]
Ranks = Mapping[str, int]
"""The rank of each source topic. Topics with a lower rank are restored first."""


def bins_for_tasks(
    copies: Sequence[PartitionCopy], lines: Lines, most_bins: int, workers: int, ranks: Ranks | None = None
) -> Bins:
    """The bins of a restore whose bins are shown as tasks, as indexes of `copies`. Pure.

    Each target partition with data has a bin of its own, and all empty ones share another bin. If that makes more than
    `most_bins` bins, partitions share bins as in `bins_for_workers`, and there are as many bins as `shared_bins`
    returns. Bins with a lower rank come first.
    """
    groups = sorted(_by_target(copies), key=lambda group: _rank(copies, group, ranks))
    bins = one_bin_each([_bytes(copies, group) > 0 for group in groups])
    if len(bins) <= most_bins:
        return _flattened(bins, groups)
    total_bytes = sum(copy.log_bytes for copy in copies)
    return bins_for_workers(copies, lines, shared_bins(total_bytes, most_bins, workers), ranks)


def bins_for_workers(copies: Sequence[PartitionCopy], lines: Lines, most_bins: int, ranks: Ranks | None = None) -> Bins:
    """The bins of a restore that shows no tasks. Pure.

    Partitions that share a packed object go into one bin, so that a worker fetches it once. Those with the same target
    partition go into one bin too, because they are written one after the other. A bin has as many partitions as a
    worker replays at the same time (`PARTITIONS_AT_ONCE`), because their batches then share requests, and small batches
    cost as much as their requests. There are `most_bins` bins at most for each rank. Bins with a lower rank come first.
    """
    by_rank: dict[int, list[list[int]]] = defaultdict(list)
    for group in _sharing_an_object(copies, lines):
        by_rank[_rank(copies, group, ranks)].append(group)
    return tuple(chain.from_iterable(_balanced(copies, groups, most_bins) for _, groups in sorted(by_rank.items())))


def _balanced(copies: Sequence[PartitionCopy], groups: Sequence[Sequence[int]], most_bins: int) -> Bins:
    most_useful = -(-sum(map(len, groups)) // PARTITIONS_AT_ONCE)
    bins = balance([_bytes(copies, group) for group in groups], min(most_bins, most_useful))
    return _flattened(bins, groups)


def _flattened(bins: Bins, groups: Sequence[Sequence[int]]) -> Bins:
    return tuple(tuple(index for number in bin_ for index in groups[number]) for bin_ in bins)


def _bytes(copies: Sequence[PartitionCopy], group: Sequence[int]) -> int:
    return sum(copies[index].log_bytes for index in group)


def _rank(copies: Sequence[PartitionCopy], group: Sequence[int], ranks: Ranks | None) -> int:
    return min((ranks or {}).get(copies[index].topic, 0) for index in group)


def _by_target(copies: Sequence[PartitionCopy]) -> list[list[int]]:
    """Groups of indexes with the same target partition, in order."""
    groups: dict[tuple[str, int], list[int]] = defaultdict(list)
    for index, copy in enumerate(copies):
        groups[copy.target_topic, copy.target_partition].append(index)
    return list(groups.values())


def _sharing_an_object(copies: Sequence[PartitionCopy], lines: Lines) -> list[list[int]]:
    """Groups of indexes. Partitions whose only line is less than half of the same data object are one group, if each
    has a target partition of its own. Partitions with the same target partition are one group."""
    groups: dict[object, list[int]] = defaultdict(list)
    for group in _by_target(copies):
        index = group[0]
        own = lines[copies[index].source]
        is_small = len(group) == 1 and len(own) == 1 and own[0].frame_bytes * 2 < (own[0].stored_bytes or 0)
        groups[own[0].object if is_small else index] += group
    return list(groups.values())
