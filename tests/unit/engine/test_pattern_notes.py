"""Patterns that are valid and can mean something else than their author meant get a note."""

from __future__ import annotations

from tasks.engine.options import TopicSelection
from tasks.engine.pattern_notes import pattern_notes


def _notes(*include: str, exclude: tuple[str, ...] = (), names: tuple[str, ...] = ("orders", "orders.eu")) -> list[str]:
    return pattern_notes(TopicSelection(include=include, exclude=exclude), names)


def test_a_pattern_that_looks_like_an_expression_names_what_it_selected_and_how_the_expression_is_written() -> None:
    [note] = _notes("orders.*", "orders")
    assert (
        "topics.include 'orders.*' is a pattern in which '.' is a dot and * is any text: it selected orders.eu. "
        "A regular expression begins with ~: '~orders.*'."
    ) == note
    assert "it selected no topic" in _notes(".*", "orders")[0]


def test_many_topics_are_counted() -> None:
    names = tuple(f"a.{number}" for number in range(7))
    assert "it selected a.0, a.1, a.2, a.3, a.4 and 2 more." in _notes("a.*", names=names)[0]


def test_a_pattern_that_selected_nothing_is_named() -> None:
    assert ["topics.include 'payments*' selected no topic."] == _notes("payments*", "orders")


def test_an_exclusion_that_looks_like_an_expression_names_the_topics_that_it_did_not_exclude() -> None:
    [note] = _notes("*", exclude=("order.*",))
    assert "topics.exclude 'order.*'" in note
    assert "it did not exclude orders, orders.eu. A regular expression begins with ~: '~order.*'." in note


def test_clear_selections_have_no_notes() -> None:
    assert [] == _notes()
    assert [] == _notes("orders", "orders*", "~orders.*", exclude=("~.*x", "x.*"))
