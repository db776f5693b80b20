"""Names that are any text are shown in one line, and different names differently."""

from __future__ import annotations

import pytest

from tasks.model.quoting import quoted


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
