"""Names that are any text are shown in one line, and different names differently."""

from __future__ import annotations

import pytest

from tasks.model.quoting import quoted, some_of


@pytest.mark.parametrize("name", ["billing", "é-日本", "a/b", "..", "%2e", "a|b", "it's"])
def test_a_visible_name_stays(name: str) -> None:
    assert name == quoted(name)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("", '""'),
        ("two words", '"two words"'),
        ("two\nlines", '"two\\nlines"'),
        ("nul\0", '"nul\\x00"'),
        ("line\u2028separator", '"line\\u2028separator"'),
        ("right\u202eleft", '"right\\u202eleft"'),
        ('say "hi"', '"say \\"hi\\""'),
        ("a\\nb", '"a\\\\nb"'),
    ],
)
def test_any_other_name_is_in_quotes_with_escapes(name: str, shown: str) -> None:
    assert shown == quoted(name)


def test_a_few_names_are_listed_in_their_order_with_the_number_of_the_others() -> None:
    assert "b, a" == some_of(["b", "a"])
    assert '"a b", b, c, d, e and 2 more' == some_of(["a b", *"bcdefg"])
    assert "a, b and 1,000 more" == some_of(["a", "b", *["c"] * 1000], most=2)
    assert "none" == some_of([])
