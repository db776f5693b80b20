"""The bins of a restore: which partitions a worker, or a task, replays."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from tasks.engine.bins import PARTITIONS_AT_ONCE, Bins, balance, one_bin_each, shared_bins
from tasks.model.partition import Partition
from tasks.repository.lines import IndexLine
from tasks.repository.restores import PartitionCopy

Lines = Mapping[Partition, Sequence[IndexLine]]


def bins_for_tasks(copies: Sequence[PartitionCopy], lines: Lines, most_bins: int, workers: int) -> Bins:
    """The bins of a restore whose bins are shown as tasks, as indexes of `copies`. Pure.

    Each partition with data has a bin of its own, and all empty ones share another bin. If that makes more than
    `most_bins` bins, partitions share bins as in `bins_for_workers`, and there are as many bins as `shared_bins`
    returns.
    """
    bins = one_bin_each([copy.log_bytes > 0 for copy in copies])
    if len(bins) <= most_bins:
        return bins
    total_bytes = sum(copy.log_bytes for copy in copies)
    return bins_for_workers(copies, lines, shared_bins(total_bytes, most_bins, workers))


def bins_for_workers(copies: Sequence[PartitionCopy], lines: Lines, most_bins: int) -> Bins:
    """The bins of a restore that shows no tasks. Pure.

    Partitions that share a packed object go into one bin, so that a worker fetches it once. A bin has as many
    partitions as a worker replays at the same time (`PARTITIONS_AT_ONCE`), because their batches then share requests,
    and small batches cost as much as their requests.
    """
    groups = _sharing_an_object(copies, lines)
    sizes = [sum(copies[index].log_bytes for index in group) for group in groups]
    most_useful = -(-len(copies) // PARTITIONS_AT_ONCE)
    return tuple(
        tuple(index for number in bin_ for index in groups[number])
        for bin_ in balance(sizes, min(most_bins, most_useful))
    )


def _sharing_an_object(copies: Sequence[PartitionCopy], lines: Lines) -> list[list[int]]:
    """Groups of indexes. Partitions whose only line is less than half of the same data object are one group; every
    other partition is a group of its own."""
    groups: dict[object, list[int]] = defaultdict(list)
    for index, copy in enumerate(copies):
        own = lines[copy.source]
        is_small = len(own) == 1 and own[0].frame_bytes * 2 < (own[0].stored_bytes or 0)
        groups[own[0].object if is_small else index].append(index)
    return list(groups.values())
