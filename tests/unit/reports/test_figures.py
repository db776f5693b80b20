"""Numbers as people read them."""

from __future__ import annotations

import pytest

from tasks.reports.figures import duration_text, note_text, size_text, table_text
from tasks.repository.entries import PartitionNote


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1.4 * 2**30, "1.4 GiB"), (2**41, "2.0 TiB")],
)
def test_bytes_are_in_binary_units(count: float, expected: str) -> None:
    assert expected == size_text(count)


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.44, "0.4 s"), (200, "3 min 20 s"), (3599.6, "1 h 0 min"), (90_061, "25 h 1 min")]
)
def test_a_duration_is_as_exact_as_it_is_short(seconds: float, expected: str) -> None:
    assert expected == duration_text(seconds)


def test_a_note_says_both_ends_of_its_range_and_both_are_in_it() -> None:
    note = PartitionNote(topic="orders", topic_id="id", partition=3, reason="retention passed us", first=5, next=9)
    assert "gap: orders-3: offsets 5 to 8: retention passed us" == note_text("gap", note)
    assert "failure: orders-3: it is gone" == note_text(
        "failure", PartitionNote(topic="orders", topic_id="id", partition=3, reason="it is gone")
    )


def test_columns_of_numbers_are_aligned_to_the_right() -> None:
    assert ["TOPIC   RECORDS", "orders    1,000", "o             1"] == table_text(
        ("TOPIC", "RECORDS"), [("orders", 1000), ("o", 1)]
    ).splitlines()
