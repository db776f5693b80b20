"""Finds control characters in values, for example a line break that an editor or a shell added at the end. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

_NAMES: Mapping[str, str] = {"\n": "line break", "\r": "line break", "\t": "tab"}


def control_character_problem(text: str) -> str | None:
    """The problem of a text with a control character: `ends with a line break`, `begins with a tab`, `contains the
    control character U+0000`. None if it contains none. The problem does not contain the text, because it can be a
    secret."""
    if not any(map(_is_control, text)):
        return None
    last, first = text[-1], text[0]
    if _is_control(last):
        return f"ends with {_name(last)}"
    if _is_control(first):
        return f"begins with {_name(first)}"
    return f"contains {_name(next(filter(_is_control, text)))}"


def control_character_problems(value: object, path: str = "") -> Iterator[str]:
    """The problem of each text with a control character in nested mappings and lists, with the path of the text:
    `x.y[0] ends with a line break`."""
    if isinstance(value, str):
        problem = control_character_problem(value)
        if problem is not None:
            yield f"{path} {problem}"
    elif isinstance(value, Mapping):
        for key, member in value.items():
            yield from control_character_problems(member, f"{path}.{key}" if path else str(key))
    elif isinstance(value, Sequence) and not isinstance(value, bytes):
        for index, member in enumerate(value):
            yield from control_character_problems(member, f"{path}[{index}]")


def _is_control(character: str) -> bool:
    return character < " " or "\x7f" <= character <= "\x9f"


def _name(character: str) -> str:
    named = _NAMES.get(character)
    return f"a {named}" if named else f"the control character U+{ord(character):04X}"
