"""Which keys and prefixes are accepted."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.model.errors import ConfigError
from tasks.store.keys import check_key, check_prefix, is_component

NAMES = st.text("aB0._-", min_size=1, max_size=4).filter(is_component)
KEYS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)


@settings(deadline=None, derandomize=True, max_examples=200)
@given(KEYS, st.data())
def test_every_beginning_of_a_key_is_a_prefix(key: str, data: st.DataObject) -> None:
    assert key == check_key(key)
    beginning = key[: data.draw(st.integers(0, len(key)))]
    assert beginning == check_prefix(beginning)


@settings(deadline=None, derandomize=True, max_examples=200)
@given(st.text("ab./-\n", max_size=8))
def test_a_key_is_accepted_exactly_if_its_parts_are_names_without_a_leading_dot(text: str) -> None:
    if all(part and not part.startswith(".") and "\n" not in part for part in text.split("/")):
        assert text == check_key(text)
    else:
        with pytest.raises(ConfigError) as refused:
            check_key(text)
        assert repr(text) in str(refused.value)


@pytest.mark.parametrize("prefix", ["/", "a//", "../", ".tmp-", "a/.", "a\n"])
def test_a_prefix_that_begins_no_key_is_refused(prefix: str) -> None:
    with pytest.raises(ConfigError):
        check_prefix(prefix)
