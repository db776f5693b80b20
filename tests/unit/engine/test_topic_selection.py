"""The topics that a selection selects."""

from __future__ import annotations

import pytest

from tasks.engine.options import TopicSelection
from tasks.engine.topic_selection import compile_pattern, select_topics
from tasks.model.errors import ConfigError

TOPICS = {"orders": False, "orders-eu": False, "orders.dlq": False, "Orders": False, "__consumer_offsets": True,
          "__transaction_state": True}  # fmt: skip


def _selected(*include: str, exclude: tuple[str, ...] = (), internal: bool = False, only: tuple[str, ...] = ()) -> str:
    selection = TopicSelection(include=include, exclude=exclude)
    return " ".join(select_topics(TOPICS, selection, include_internal=internal, internal_topics=only))


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        ((), (), "Orders orders orders-eu orders.dlq"),
        (("orders",), (), "orders"),
        (("orders*",), (), "orders orders-eu orders.dlq"),
        (("orders?eu",), (), "orders-eu"),
        (("~orders(-.*)?",), (), "orders orders-eu"),
        (("~rders",), ("x",), ""),
        (("orders*",), ("*.dlq",), "orders orders-eu"),
        (("orders", "orders-eu"), ("~.*-eu",), "orders"),
        (("*",), ("orders", "Orders"), "orders-eu orders.dlq"),
    ],
)
def test_names_globs_and_expressions_match_whole_names(
    include: tuple[str, ...], exclude: tuple[str, ...], expected: str
) -> None:
    if expected:
        assert expected == _selected(*include, exclude=exclude)
    else:
        with pytest.raises(ConfigError, match="matches no topic"):
            _selected(*include, exclude=exclude)


def test_internal_topics_are_selected_only_if_configured() -> None:
    assert "__" not in _selected("*")
    assert "__consumer_offsets" in _selected("*", internal=True)
    assert "__transaction_state" == _selected("__*", internal=True, only=("__transaction_state",))
    assert "__consumer_offsets" == _selected("__consumer_offsets")


def test_a_literal_name_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"There is no topic payments, refunds\."):
        _selected("orders", "payments", "refunds", "nothing-*")


@pytest.mark.parametrize("pattern", ["~(", "~[", "~*", "~a{99999999999999999999}", "~" + "(" * 5000])
def test_an_invalid_regular_expression_is_an_error_with_its_pattern(pattern: str) -> None:
    with pytest.raises(ConfigError, match="is not a regular expression"):
        compile_pattern(pattern)


@pytest.mark.parametrize("name", ["a[b]c", "a.c", "a+c", "$", "a\\c"])
def test_a_glob_has_only_two_special_characters(name: str) -> None:
    assert compile_pattern(name).fullmatch(name)
    assert not compile_pattern(name).fullmatch("abc")
