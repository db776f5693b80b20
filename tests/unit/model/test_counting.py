"""Numbers with their nouns."""

from __future__ import annotations

import pytest

from tasks.model.counting import counted


@pytest.mark.parametrize(
    ("count", "expected"), [(0, "0 topics"), (1, "1 topic"), (2, "2 topics"), (1_200, "1,200 topics")]
)
def test_only_one_thing_is_named_in_the_singular(count: int, expected: str) -> None:
    assert expected == counted(count, "topic")


def test_an_irregular_plural_is_taken_as_it_is_given() -> None:
    assert ("1 copy", "2 copies") == (counted(1, "copy", "copies"), counted(2, "copy", "copies"))
