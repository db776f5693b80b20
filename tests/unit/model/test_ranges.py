"""Overlapping ranges: each offset belongs to the first range of the sequence that contains it."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.model.ranges import Piece, disjoint_pieces
from tests.support.steps import steps_of

RANGES = st.lists(st.tuples(st.integers(0, 30), st.integers(-2, 12)).map(lambda drawn: (drawn[0], sum(drawn))))


@settings(deadline=None, derandomize=True, max_examples=100)
@given(RANGES)
def test_each_offset_belongs_to_the_first_range_that_contains_it(ranges: list[tuple[int, int]]) -> None:
    pieces = disjoint_pieces(ranges)
    for offset in range(-1, 50):
        owners = [index for index, (first, end) in enumerate(ranges) if first <= offset < end][:1]
        assert owners == [piece.owner for piece in pieces if piece.first <= offset < piece.next]


@settings(deadline=None, derandomize=True, max_examples=100)
@given(RANGES)
def test_pieces_are_in_order_not_empty_and_as_long_as_possible(ranges: list[tuple[int, int]]) -> None:
    pieces = disjoint_pieces(ranges)
    assert all(piece.first < piece.next for piece in pieces)
    for one, other in pairwise(pieces):
        assert one.next <= other.first
        assert one.next < other.first or one.owner != other.owner


def test_a_range_inside_an_older_one_divides_it() -> None:
    assert [Piece(0, 4, 1), Piece(4, 6, 0), Piece(6, 10, 1)] == disjoint_pieces([(4, 6), (0, 10)])


def test_the_number_of_steps_grows_with_the_number_of_ranges_and_not_with_its_square() -> None:
    """Every range overlaps every other one, which is the worst case."""
    few, many = ([(at, 3 * count - at) for at in range(count)] for count in (500, 4000))
    assert steps_of(lambda: disjoint_pieces(many)) < 2 * 8 * steps_of(lambda: disjoint_pieces(few))
