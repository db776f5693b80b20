"""The rule for text in the settings of stores: no control characters, which nobody sees in a file or a variable."""

from __future__ import annotations

_LINE_BREAKS = frozenset("\r\n")


def check_text(text: str) -> str:
    """The text itself. Raises `ValueError` if it contains a control character; the message does not show the text.

    An environment file with Windows line ends gives values that end with a carriage return, and a secret that was
    written by `echo` ends with a line feed.
    """
    if problem := control_character(text):
        raise ValueError(problem)
    return text


def control_character(text: str) -> str | None:
    """What is wrong with the text, as the end of a sentence; None if it contains no control character."""
    if all(letter >= " " and letter != "\x7f" for letter in text):
        return None
    if _LINE_BREAKS & set(text[-1]):
        return "ends with a line break: remove it"
    return "contains a control character: remove it"
