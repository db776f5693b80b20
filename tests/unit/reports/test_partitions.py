"""Tables and lists that are too long to be shown whole: what is left out is added up."""

from __future__ import annotations

from tasks.reports.partitions import MOST_NOTES, MOST_ROWS, Row, listed, shortened


def _rows(count: int) -> list[Row]:
    return [
        {"topic": "orders", "partition": number, "next": 7, "records": 7, "seconds": 0.1, "gaps": "x" * (number % 2)}
        for number in range(count)
    ]


def test_a_table_that_can_be_shown_is_shown_whole() -> None:
    assert _rows(MOST_ROWS) == shortened(_rows(MOST_ROWS))
    assert [] == shortened([])


def test_the_last_row_of_a_longer_table_adds_up_the_rest() -> None:
    rows = shortened(_rows(MOST_ROWS + 10))

    assert _rows(MOST_ROWS) == rows[:-1]
    assert {
        "topic": "and 10 more partitions",
        "partition": None,
        "next": None,
        "records": 70,
        "seconds": 1.0,
        "gaps": "in 5 of these",
    } == rows[-1]
    assert [*rows[0]] == [*rows[-1]]


def test_a_list_says_how_many_it_leaves_out() -> None:
    lines = list(listed("Gaps", [str(number) for number in range(MOST_NOTES + 3)]))

    assert ["### Gaps", "", "- 0"] == lines[:3]
    assert [f"- {MOST_NOTES - 1}", "- and 3 more", ""] == lines[-3:]
    assert [] == list(listed("Gaps", []))
