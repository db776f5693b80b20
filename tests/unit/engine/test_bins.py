"""Bins: balanced, complete, deterministic."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.engine.bins import MAX_BINS, balance, bins_to_capture
from tasks.repository.plans import PlannedPartition


@settings(deadline=None, derandomize=True, max_examples=100)
@given(st.lists(st.integers(0, 1000), max_size=30), st.integers(1, 8))
def test_every_partition_is_in_one_bin_and_no_bin_is_empty(sizes: list[int], most: int) -> None:
    bins = balance(sizes, most)
    assert list(range(len(sizes))) == sorted(index for bin_ in bins for index in bin_)
    assert len(bins) == min(most, len(sizes))
    assert all(bin_ and sorted(bin_) == list(bin_) for bin_ in bins)
    assert bins == balance(sizes, most)


@settings(deadline=None, derandomize=True, max_examples=100)
@given(st.lists(st.integers(1, 1000), min_size=1, max_size=30), st.integers(1, 8))
def test_no_bin_outweighs_another_by_more_than_one_partition(sizes: list[int], most: int) -> None:
    loads = [sum(sizes[index] for index in bin_) for bin_ in balance(sizes, most)]
    assert max(loads) - min(loads) <= max(sizes)


def test_idle_partitions_spread_evenly() -> None:
    assert [3, 3, 3] == [len(bin_) for bin_ in balance([0] * 9, 3)]


def test_nothing_to_do_makes_no_bins() -> None:
    assert () == balance([], 4)


def _planned(*lengths: int) -> list[PlannedPartition]:
    return [
        PlannedPartition(topic="orders", topic_id="id", partition=number, start=7, end=7 + length, bytes=length)
        for number, length in enumerate(lengths)
    ]


def test_each_partition_with_something_to_read_has_a_bin_and_all_idle_ones_share_another() -> None:
    assert ((1,), (2,), (0, 3)) == bins_to_capture(_planned(0, 5, 9, 0), MAX_BINS)
    assert ((0, 1),) == bins_to_capture(_planned(0, 0), MAX_BINS)
    assert ((0,), (1,)) == bins_to_capture(_planned(1, 1), 2)
    assert () == bins_to_capture([], MAX_BINS)


def test_beyond_the_most_bins_partitions_share_them_balanced_by_bytes() -> None:
    planned = _planned(*range(2000))
    bins = bins_to_capture(planned, MAX_BINS)
    assert MAX_BINS == len(bins)
    assert list(range(2000)) == sorted(index for bin_ in bins for index in bin_)
    loads = [sum(planned[index].bytes for index in bin_) for bin_ in bins]
    assert max(loads) - min(loads) <= 1999


def test_an_idle_bin_counts_too() -> None:
    assert 2 == len(bins_to_capture(_planned(1, 1, 0), 2))
