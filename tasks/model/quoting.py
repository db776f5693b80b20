"""Writes names into messages and tables, because Kafka accepts any text as a group id, also line ends and NUL."""

from __future__ import annotations

from collections.abc import Sequence


def quoted(name: str) -> str:
    """The name for messages. It stays unchanged, unless it is empty or contains a space, a quote, a backslash or an
    invisible character: then it is in double quotes with escapes. The result contains no line end, and different names
    have different results."""
    if name and name.isprintable() and not set(name) & {" ", '"', "\\"}:
        return name
    return '"' + "".join(map(_escaped, name)) + '"'


def some_of(names: Sequence[str], *, most: int = 5) -> str:
    """At most `most` of the names in their order, and the number of the others: `a, b, c, d, e and 12 more`. `none` if
    there are none."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(map(quoted, names[:most])) + more if names else "none"


def _escaped(character: str) -> str:
    if character in ('"', "\\"):
        return f"\\{character}"
    return character if character.isprintable() else character.encode("unicode_escape", "surrogatepass").decode()
