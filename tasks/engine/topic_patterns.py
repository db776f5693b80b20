"""Which topics a selection means: literal names, globs with `*` and `?`, regular expressions after `~`. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import translate

from tasks.engine.options import TopicSelection
from tasks.model.errors import ConfigError


def select_topics(
    available: Mapping[str, bool],
    selection: TopicSelection,
    *,
    include_internal: bool,
    internal_topics: Sequence[str] = (),
) -> list[str]:
    """The names that are selected, in order. `available` says of each topic whether it is internal.

    No `include` means all. An internal topic is taken only when `include_internal` is set (then all that match, or
    those in `internal_topics`), or when it is included by its literal name. Raises `ConfigError` for a literal name
    that does not exist, a bad regular expression, and a selection that matches nothing.
    """
    missing = [name for name in selection.include if is_literal(name) and name not in available]
    if missing:
        raise ConfigError(f"There is no topic {', '.join(missing)}.")
    chosen = [
        name
        for name, is_internal in sorted(available.items())
        if is_selected(name, selection)
        and (not is_internal or name in selection.include or _is_wanted(name, include_internal, internal_topics))
    ]
    if not chosen:
        raise ConfigError("The topic selection matches no topic.")
    return chosen


def is_selected(name: str, selection: TopicSelection) -> bool:
    """Whether an ordinary topic of that name is selected."""
    return _matches_any(name, selection.include or ("*",)) and not _matches_any(name, selection.exclude)


def is_literal(pattern: str) -> bool:
    """Whether the pattern is just a name. Topic names have none of the characters that make a pattern."""
    return not pattern.startswith("~") and not set(pattern) & set("*?")


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """The pattern as an expression for whole names. Raises `ConfigError` for a bad regular expression."""
    if not pattern.startswith("~"):
        return re.compile(translate(pattern.replace("[", "[[]")))
    try:
        return re.compile(pattern[1:])
    except (re.error, OverflowError, RecursionError) as error:
        raise ConfigError(f"{pattern!r} is not a regular expression: {error}.") from None


def _matches_any(name: str, patterns: Sequence[str]) -> bool:
    return any(compile_pattern(pattern).fullmatch(name) for pattern in patterns)


def _is_wanted(name: str, include_internal: bool, internal_topics: Sequence[str]) -> bool:
    return include_internal and (not internal_topics or name in internal_topics)
