"""Topic selections: literal names, globs with `*` and `?`, and regular expressions after `~`. Pure."""

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
    """The selected names in order. `available` maps each topic to whether it is internal.

    An empty `include` selects all topics. An internal topic is selected if it is included by its literal name, or if it
    matches and `include_internal` is set and `internal_topics` is empty or contains it. Raises `ConfigError` for a
    literal name in `include` that does not exist, an invalid regular expression, and a selection that matches no topic.
    """
    missing = [name for name in selection.include if is_literal(name) and name not in available]
    if missing:
        raise ConfigError(f"There is no topic {', '.join(missing)}.")
    chosen = [
        name
        for name, is_internal in sorted(available.items())
        if is_selected(name, selection)
        and (
            not is_internal
            or name in selection.include
            or _is_allowed_internal(name, include_internal, internal_topics)
        )
    ]
    if not chosen:
        raise ConfigError("The topic selection matches no topic. Check its names and patterns.")
    return chosen


def is_selected(name: str, selection: TopicSelection) -> bool:
    """Whether the selection matches a topic with this name. Internal topics have further conditions, see
    `select_topics`. Raises `ConfigError` for an invalid regular expression."""
    return _matches_any(name, selection.include or ("*",)) and not _matches_any(name, selection.exclude)


def is_literal(pattern: str) -> bool:
    """Whether the pattern is a plain name. Topic names cannot contain the special characters of patterns."""
    return not pattern.startswith("~") and not set(pattern) & set("*?")


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Compile a pattern that matches whole names. Raises `ConfigError` for an invalid regular expression."""
    if not pattern.startswith("~"):
        return re.compile(translate(pattern.replace("[", "[[]")))
    try:
        return re.compile(pattern[1:])
    except (re.error, OverflowError, RecursionError) as error:
        raise ConfigError(f"{pattern!r} is not a regular expression: {error}.") from None


def _matches_any(name: str, patterns: Sequence[str]) -> bool:
    return any(compile_pattern(pattern).fullmatch(name) for pattern in patterns)


def _is_allowed_internal(name: str, include_internal: bool, internal_topics: Sequence[str]) -> bool:
    return include_internal and (not internal_topics or name in internal_topics)
