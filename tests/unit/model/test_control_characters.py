"""Control characters in values are named by their place and kind; the value is not shown."""

from __future__ import annotations

import pytest

from tasks.model.control_characters import control_character_problem, control_character_problems


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("key\n", "ends with a line break"),
        ("key\r\n", "ends with a line break"),
        ("key\r", "ends with a line break"),
        ("\nkey", "begins with a line break"),
        ("a\nb", "contains a line break"),
        ("a\tb", "contains a tab"),
        ("a\x00", "ends with the control character U+0000"),
        ("a\x85b", "contains the control character U+0085"),
        ("\n", "ends with a line break"),
    ],
)
def test_a_control_character_is_named(text: str, problem: str) -> None:
    assert problem == control_character_problem(text)


@pytest.mark.parametrize("text", ["", "key", "pass word", "größe ✓", "\\n"])
def test_other_text_has_no_problem(text: str) -> None:
    assert control_character_problem(text) is None


def test_every_text_in_a_structure_is_checked() -> None:
    value = {"servers": ["a:1", "b:2\r"], "security": {"password": "secret\n"}, "count": 3, "nothing": None}
    assert ["servers[1] ends with a line break", "security.password ends with a line break"] == list(
        control_character_problems(value)
    )
