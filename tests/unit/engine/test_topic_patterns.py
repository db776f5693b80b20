"""Patterns of topic names: what they match, and what they give to a target name."""

from __future__ import annotations

import pytest

from tasks.engine.topic_patterns import check_target, is_topic_name, target_name
from tasks.model.errors import ConfigError


@pytest.mark.parametrize(
    ("pattern", "target", "name", "expected"),
    [
        ("orders", "copy", "orders", "copy"),
        ("orders", "copy", "orders-eu", None),
        ("orders-*", "copy-*", "orders-eu", "copy-eu"),
        ("*-v?", "v?-*", "orders-v2", "vorders-2"),
        ("orders-*", "all-orders", "orders-eu", "all-orders"),
        (r"~(.*)\.(prod|live)", "dr.$1", "orders.live", "dr.orders"),
        (r"~(?P<name>\w+)-(\d+)", "${name}.$2", "orders-7", "orders.7"),
        (r"~(\w+)-eu", r"\1", "orders-eu", "orders"),
        ("~(a)?b", "x$1", "b", "x"),
        ("~a.c", "d", "xabc", None),
        ("a.c*", "*", "abc", None),
    ],
)
def test_a_target_contains_what_its_pattern_matched(pattern: str, target: str, name: str, expected: str | None) -> None:
    check_target(pattern, target)
    assert expected == target_name(pattern, target, name)


@pytest.mark.parametrize(
    ("pattern", "target"),
    [("a*", "b*c*"), ("~(a)", "$2"), ("~(a)", "${n}"), ("~a|(b)", r"\2"), ("~(?i)a", "$1")],
)
def test_a_target_that_refers_to_text_that_its_pattern_does_not_have_is_refused(pattern: str, target: str) -> None:
    with pytest.raises(ConfigError, match="refers to text that"):
        check_target(pattern, target)


def test_a_rule_with_an_invalid_expression_is_refused() -> None:
    with pytest.raises(ConfigError, match="is not a regular expression"):
        check_target("~(a", "b")


def test_a_literal_name_is_not_a_pattern_of_its_target() -> None:
    check_target("orders", "copy-$1")
    assert not is_topic_name("copy-$1"), "the option refuses it"
