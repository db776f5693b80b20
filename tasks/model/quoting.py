"""Names in messages and tables. Kafka accepts any text as the id of a group: empty, with line ends, with NUL."""

from __future__ import annotations


def quoted(name: str) -> str:
    """The name as people read it: as it is, or in double quotes with escapes if it is empty or has a character that
    is not visible, a blank, a quote or a backslash. The result has no line end, and different names stay different."""
    if name and name.isprintable() and not set(name) & {" ", '"', "\\"}:
        return name
    return '"' + "".join(map(_escaped, name)) + '"'


def _escaped(character: str) -> str:
    if character in ('"', "\\"):
        return f"\\{character}"
    return character if character.isprintable() else character.encode("unicode_escape", "surrogatepass").decode()
