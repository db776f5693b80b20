"""Labels: which are allowed, and which label a rule means."""

from __future__ import annotations

import pytest

from tasks.model.errors import ConfigError
from tasks.model.labels import check_label_rule, check_labels, find_label, labels_text, parse_labels


def test_labels_are_parsed_up_to_the_first_equals_sign() -> None:
    assert {"release": "1.2.3", "query": "a=b", "team/app": "ü x"} == parse_labels(
        ["release=1.2.3", "query=a=b", "team/app=ü x"]
    )


@pytest.mark.parametrize("key", ["", "-a", ".a", "a b", "ä", "a\n", "a=b", "a" * 64])
def test_a_key_that_is_not_allowed_is_refused(key: str) -> None:
    with pytest.raises(ConfigError, match="cannot be the key of a label"):
        check_labels({key: "x"})


@pytest.mark.parametrize("value", ["", "a\n", "\x00", "\u202e", "a" * 201])
def test_a_value_that_is_not_allowed_is_refused_without_showing_it(value: str) -> None:
    with pytest.raises(ConfigError, match=r"^The label key has a value that is not allowed\.") as caught:
        check_labels({"key": value})
    assert not value or value not in str(caught.value)


def test_the_largest_labels_are_allowed() -> None:
    check_labels({f"{number:02d}".ljust(63, "k"): "v" * 200 for number in range(32)})


def test_a_rule_means_one_value_or_any() -> None:
    labels = {"release": "1.2.3", "query": "a=b"}
    assert ["release=1.2.3", "release=1.2.3", None, "query=a=b", None] == [
        find_label(labels, rule) for rule in ("release", "release=1.2.3", "release=1.2", "query=a=b", "stage")
    ]
    check_label_rule("release")
    for rule in ("=x", "release=", "a b"):
        with pytest.raises(ConfigError):
            check_label_rule(rule)


def test_labels_are_shown_in_the_order_of_their_keys() -> None:
    assert "a=2, b=1" == labels_text({"b": "1", "a": "2"})
