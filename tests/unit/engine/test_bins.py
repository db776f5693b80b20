"""Bins: balanced, complete, deterministic."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.engine.bins import balance


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
