"""The bins of a restore: partitions by themselves where tasks are shown, together where that is faster."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.engine.bins import MAX_BINS
from tasks.engine.target.restore_bins import bins_for_tasks, bins_for_workers
from tasks.engine.validation.contents import read_contents
from tasks.model.partition import Partition
from tasks.repository.lines import IndexLine
from tasks.repository.restores import PartitionCopy
from tests.support.made_backup import make_backup
from tests.support.made_logs import plain_log

MIB = 1 << 20


def _copies(*sizes_bytes: int) -> list[PartitionCopy]:
    return [
        PartitionCopy(
            topic="orders",
            topic_id="id",
            partition=number,
            target_topic="orders-restored",
            target_partition=number,
            records=size,
            log_bytes=size,
        )
        for number, size in enumerate(sizes_bytes)
    ]


def _no_lines(copies: Sequence[PartitionCopy]) -> dict[Partition, Sequence[IndexLine]]:
    return {copy.source: () for copy in copies}


def _packed(copies: Sequence[PartitionCopy], objects: int) -> dict[Partition, Sequence[IndexLine]]:
    """Each partition is a hundredth of one of the objects, in turn."""
    made = make_backup([plain_log("orders", batches=2)])
    [line] = read_contents(made.repository.store, made.point).lines
    return {
        copy.source: [
            line.model_copy(update={"object": f"object-{index % objects}", "stored_bytes": 100 * line.frame_bytes})
        ]
        for index, copy in enumerate(copies)
    }


def test_a_flow_shows_each_partition_as_a_task_and_all_empty_ones_as_another() -> None:
    copies = _copies(5, 0, 7, 0, 9)
    assert ((0,), (2,), (4,), (1, 3)) == bins_for_tasks(copies, _packed(copies, 1), MAX_BINS, 4)


def test_up_to_256_partitions_are_tasks_though_they_share_data_objects() -> None:
    copies = _copies(*[1] * 256)
    assert tuple((index,) for index in range(256)) == bins_for_tasks(copies, _packed(copies, 3), MAX_BINS, 4)


def test_a_flow_with_more_partitions_than_tasks_makes_as_many_as_their_bytes_are_worth() -> None:
    for size, expected in ((1, 16), (MIB, 63), (10 * MIB, 256)):
        copies = _copies(*[size] * 2000)
        bins = bins_for_tasks(copies, _no_lines(copies), MAX_BINS, 4)
        assert expected == len(bins)
        assert list(range(2000)) == sorted(index for bin_ in bins for index in bin_)


def test_partitions_that_share_an_object_share_a_bin_where_no_tasks_are_shown() -> None:
    copies = _copies(*[1] * 40)
    bins = bins_for_workers(copies, _packed(copies, 5), 16)
    assert sorted(tuple(range(first, 40, 5)) for first in range(5)) == sorted(bins)


def test_four_partitions_share_a_bin_where_no_tasks_are_shown() -> None:
    copies = _copies(*[1] * 10)
    assert [4, 3, 3] == [len(bin_) for bin_ in bins_for_workers(copies, _no_lines(copies), 16)]
