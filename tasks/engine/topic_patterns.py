"""Patterns of topic names: literal names, globs with `*` and `?`, and regular expressions after `~`. Refuses invalid
patterns, and fills the matched text into a target name. Pure."""

from __future__ import annotations

import re
from fnmatch import translate
from itertools import count

from tasks.model.errors import ConfigError

_TOPIC_CHARACTERS = re.compile(r"[A-Za-z0-9._*?-]")
"""The characters of topic names (org.apache.kafka.common.internals.Topic), and those of globs."""

_WILDCARD = re.compile(r"[*?]")
_REFERENCE = re.compile(r"\$(?:(\d+)|\{(\w+)\})")
"""A reference of a target name to a group: $1 or ${name}."""


def is_topic_name(name: str) -> bool:
    """Whether Kafka allows a topic with this name (org.apache.kafka.common.internals.Topic)."""
    return re.fullmatch(r"[A-Za-z0-9._-]{1,249}", name) is not None and name not in (".", "..")


def is_literal(pattern: str) -> bool:
    """Whether the pattern is a plain name. Topic names cannot contain the special characters of patterns."""
    return not pattern.startswith("~") and not set(pattern) & set("*?")


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Compile a pattern that matches whole names. Raises `ConfigError` for an invalid regular expression, and for a
    name or glob with a character that no topic name has, because it would silently match nothing."""
    if not pattern.startswith("~"):
        _check_characters(pattern)
        return re.compile(translate(pattern))
    try:
        return re.compile(pattern[1:])
    except (re.error, OverflowError, RecursionError) as error:
        raise ConfigError(f"{pattern!r} is not a regular expression: {error}.") from None


def _check_characters(pattern: str) -> None:
    foreign = sorted(set(filter(_is_foreign, pattern)))
    if not foreign:
        return
    bare = pattern.strip()
    if bare != pattern and bare and not any(map(_is_foreign, bare)):
        raise ConfigError(f"{pattern!r} begins or ends with a space, which no topic name does: write {bare!r}.")
    shown = " ".join(repr(character) for character in foreign)
    if set(foreign) <= {",", " "}:
        raise ConfigError(
            f"{pattern!r} contains {shown}, which no topic name does: write each pattern as its own item."
        )
    expression = f"~{pattern}"
    raise ConfigError(
        f"{pattern!r} contains {shown}, which no topic name does. A regular expression begins with ~: {expression!r}."
    )


def _is_foreign(character: str) -> bool:
    return not _TOPIC_CHARACTERS.fullmatch(character)


def target_name(pattern: str, target: str, name: str) -> str | None:
    """The target of a topic by one rule of a mapping, None if the pattern does not match the name.

    In the target of a glob, the first `*` or `?` is the text that the first `*` or `?` of the pattern matched, and so
    on. In the target of a regular expression, $1, ${name} and \\1 are the texts of its groups; a group that did not
    take part in the match is empty. `check_target` has to accept the rule.
    """
    if is_literal(pattern):
        return target if name == pattern else None
    found = _with_groups(pattern).fullmatch(name)
    return found.expand(_template(pattern, target)) if found else None


def check_target(pattern: str, target: str) -> None:
    """Raises `ConfigError` if the pattern is invalid, or its target refers to text that the pattern does not have."""
    compile_pattern(pattern)
    if is_literal(pattern):
        return
    or_nothing = re.compile(f"{_with_groups(pattern).pattern}|")
    try:
        or_nothing.sub(_template(pattern, target), "")
    except (re.error, IndexError):
        raise ConfigError(f"{target!r} refers to text that {pattern!r} does not have.") from None


def _with_groups(pattern: str) -> re.Pattern[str]:
    """The expression of a pattern. Each wildcard of a glob is a group."""
    if pattern.startswith("~"):
        return compile_pattern(pattern)
    parts = [{"*": "(.*)", "?": "(.)"}.get(character, re.escape(character)) for character in pattern]
    return re.compile("".join(parts))


def _template(pattern: str, target: str) -> str:
    """The target with references as `re.Match.expand` reads them."""
    if pattern.startswith("~"):
        return _REFERENCE.sub(lambda found: f"\\g<{found[1] or found[2]}>", target)
    numbers = count(1)
    return _WILDCARD.sub(lambda _: f"\\g<{next(numbers)}>", target)
