"""The topics that a selection selects."""

from __future__ import annotations

from unittest.mock import patch

import pytest

from tasks.engine import topic_selection
from tasks.engine.options import TopicSelection
from tasks.engine.topic_patterns import compile_pattern
from tasks.engine.topic_selection import select_topics
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
    with pytest.raises(ConfigError, match=r"There is no topic payments, refunds: correct topics.include\."):
        _selected("orders", "payments", "refunds", "nothing-*")


@pytest.mark.parametrize("pattern", [" f", "f ", " f* "])
def test_a_space_around_a_pattern_is_named_as_such(pattern: str) -> None:
    with pytest.raises(ConfigError, match="begins or ends with a space, which no topic name does: write 'f"):
        compile_pattern(pattern)


def test_a_name_that_is_misspelt_gets_a_suggestion() -> None:
    with pytest.raises(
        ConfigError, match=r"There is no topic order: .*\. Did you mean orders, orders-eu or orders\.dlq\?$"
    ):
        _selected("order")


@pytest.mark.parametrize("pattern", ["~(", "~[", "~*", "~a{99999999999999999999}", "~" + "(" * 5000])
def test_an_invalid_regular_expression_is_an_error_with_its_pattern(pattern: str) -> None:
    with pytest.raises(ConfigError, match="is not a regular expression"):
        compile_pattern(pattern)


def test_a_dot_of_a_glob_is_a_dot() -> None:
    assert compile_pattern("a.*").fullmatch("a.c")
    assert not compile_pattern("a.*").fullmatch("abc")


@pytest.mark.parametrize("pattern", ["a|b", "^x$", "a[b]c", "a+", "orders(-.*)?", "a\\.c", "größe", "a/b", "a:b"])
def test_a_pattern_with_a_character_that_no_topic_has_is_an_error_that_names_the_form_of_expressions(
    pattern: str,
) -> None:
    expression = f"~{pattern}"
    for include, exclude in (((pattern, "orders"), ()), (("orders",), (pattern,))):
        with pytest.raises(ConfigError, match="which no topic name does") as caught:
            _selected(*include, exclude=exclude)
        assert f"A regular expression begins with ~: {expression!r}." in str(caught.value)


def test_several_names_in_one_text_are_an_error_that_says_so() -> None:
    with pytest.raises(ConfigError, match=r"'a, b' contains ' ' ',', .* write each pattern as its own item\."):
        _selected("a, b")


def test_a_selection_of_nothing_names_the_form_of_expressions_if_it_looks_like_one() -> None:
    with pytest.raises(ConfigError, match=r"matches no topic: .* A regular expression begins with ~: '~x\.\*'\."):
        _selected("x.*")


def test_each_of_a_thousand_names_is_compiled_once() -> None:
    names = [f"topic-{number}" for number in range(1_000)]
    selection = TopicSelection(include=(*names, "~other.*"))
    with patch.object(topic_selection, "compile_pattern", wraps=compile_pattern) as compiled:
        assert sorted(names) == select_topics(dict.fromkeys(names, False), selection, include_internal=False)
    assert compiled.call_count <= len(names) + 2
