"""Sharing out the data objects of a point."""

from __future__ import annotations

from tasks.engine.validation.contents import read_contents
from tasks.engine.validation.objects import named_lines, object_bins
from tasks.flow_support.bin_tasks import bin_tasks_of
from tests.support.made_backup import MadeBackup, make_backup
from tests.support.made_logs import many_logs, plain_log


def _bins(made: MadeBackup, most_bins: int) -> list[list[str]]:
    named = named_lines(read_contents(made.repository.store, made.point))
    bins = object_bins(named, most_bins, workers=1)
    assert sorted(named) == sorted(key for bin_ in bins for key in bin_)
    return bins


def test_objects_of_one_partition_go_together() -> None:
    made = make_backup([plain_log("orders", batches=12, frames_per_object=2)])
    [keys] = _bins(made, 256)
    assert len(keys) > 1


def test_every_object_is_checked_by_one_task_however_few_there_may_be() -> None:
    made = make_backup(many_logs())
    for most_bins in (1, 2, 256):
        bins = _bins(made, most_bins)
        assert len(bins) <= most_bins
        assert all(bins)


def test_a_packed_object_is_one_task_and_the_objects_of_one_partition_are_another() -> None:
    orders = plain_log("orders", batches=12, frames_per_object=2)
    made = make_backup([orders, *(plain_log("audit", number, batches=1) for number in range(3))])
    named = named_lines(read_contents(made.repository.store, made.point))

    sources = [{line.source for key in keys for line, _ in named[key]} for keys in _bins(made, 256)]

    assert ["audit-0 and 2 more", "orders-0"] == sorted(task.label for task in bin_tasks_of(sources))
    assert len(named) > 2


def test_more_groups_of_objects_than_tasks_are_balanced_by_bytes() -> None:
    made = make_backup([plain_log("orders", batches=12, frames_per_object=2), *many_logs()[1:]])
    assert 2 == len(_bins(made, 2))
