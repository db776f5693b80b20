"""Bins: balanced, complete, deterministic; and a task for each partition as long as that is sensible."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.engine.bins import BIN_BYTES, MAX_BINS, balance, bins_to_capture, shared_bins
from tasks.repository.plans import PlannedPartition

MIB = 1 << 20


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


def test_no_partitions_make_no_bins() -> None:
    assert () == balance([], 4)
    assert () == bins_to_capture([], MAX_BINS, 4)


def _planned(*lengths: int, unit: int = 1) -> list[PlannedPartition]:
    return [
        PlannedPartition(topic="orders", topic_id="id", partition=number, start=7, end=7 + length, bytes=length * unit)
        for number, length in enumerate(lengths)
    ]


def test_each_partition_with_something_to_read_has_a_bin_and_all_idle_ones_share_another() -> None:
    assert ((1,), (2,), (0, 3)) == bins_to_capture(_planned(0, 5, 9, 0), MAX_BINS, 4)
    assert ((0, 1),) == bins_to_capture(_planned(0, 0), MAX_BINS, 4)
    assert ((0,), (1,)) == bins_to_capture(_planned(1, 1), 2, 4)


def test_up_to_256_partitions_each_have_a_bin_of_their_own_however_small_they_are() -> None:
    assert tuple((number,) for number in range(256)) == bins_to_capture(_planned(*[1] * 256), MAX_BINS, 4)


def test_more_partitions_than_256_share_as_many_bins_as_their_bytes_are_worth() -> None:
    for size_bytes, expected in ((1, 16), (MIB, 63), (10 * MIB, 256)):
        planned = _planned(*[1] * 2000, unit=size_bytes)
        bins = bins_to_capture(planned, MAX_BINS, 4)
        assert expected == len(bins)
        assert list(range(2000)) == sorted(index for bin_ in bins for index in bin_)


def test_big_partitions_among_many_small_ones_keep_bins_of_their_own() -> None:
    planned = _planned(*[1024] * 4, *[1] * 300, unit=MIB)

    bins = bins_to_capture(planned, MAX_BINS, 4)

    assert {(0,), (1,), (2,), (3,)} < set(bins)


def test_an_idle_bin_counts_too() -> None:
    assert 2 == len(bins_to_capture(_planned(1, 1, 0), 2, 4))


@settings(deadline=None, derandomize=True, max_examples=100)
@given(st.integers(0, 10**13), st.integers(1, 256), st.integers(1, 64))
def test_shared_bins_are_full_unless_workers_would_idle(total: int, most: int, workers: int) -> None:
    count = shared_bins(total, most, workers)
    assert 1 <= count <= most
    assert count <= 4 * workers or (count - 1) * BIN_BYTES < total
    assert count == most or count >= 4 * workers


def test_the_command_packs_small_partitions_into_four_bins_per_worker() -> None:
    for total in (0, 10**12):
        assert 16 == shared_bins(total, most_bins=16, workers=4)
