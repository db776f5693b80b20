"""Topic selections: which topics the patterns of a selection select, and when internal topics are selected. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from tasks.engine.options import TopicSelection
from tasks.engine.scratch_names import is_scratch
from tasks.engine.topic_patterns import compile_pattern, is_literal
from tasks.model.errors import ConfigError
from tasks.model.suggestions import did_you_mean


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
    literal name that does not exist, a pattern that no topic can match, an invalid regular expression, and a selection
    that matches no topic.
    """
    for pattern in (*selection.include, *selection.exclude):
        compile_pattern(pattern)
    missing = [name for name in selection.include if is_literal(name) and name not in available]
    if missing:
        near = did_you_mean(missing[0], available)
        raise ConfigError(f"There is no topic {', '.join(missing)}: correct topics.include.{near}")
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
        raise ConfigError(
            f"The topic selection matches no topic: correct topics.include and topics.exclude.{_hint(selection)}"
        )
    return chosen


def is_selected(name: str, selection: TopicSelection) -> bool:
    """Whether the selection matches a topic with this name. Internal topics have further conditions, see
    `select_topics`. The scratch topics of drills are never selected. Raises `ConfigError` for an invalid regular
    expression."""
    if is_scratch(name):
        return False
    return matches_any(name, selection.include or ("*",)) and not matches_any(name, selection.exclude)


def _hint(selection: TopicSelection) -> str:
    """How a pattern would be written that looks like a regular expression."""
    likely = [pattern for pattern in selection.include if not pattern.startswith("~") and ".*" in pattern]
    return f" A regular expression begins with ~: {'~' + likely[0]!r}." if likely else ""


def matches_any(name: str, patterns: Sequence[str]) -> bool:
    """Whether one of the patterns matches the name. Raises `ConfigError` for an invalid regular expression."""
    return name in patterns or any(expression.fullmatch(name) for expression in _expressions(tuple(patterns)))


@lru_cache(maxsize=16)
def _expressions(patterns: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
    """The compiled patterns, without literal names, which are compared as texts. They are cached, because a selection
    can have a thousand patterns and is matched with each topic, and `re` caches only 512."""
    return tuple(compile_pattern(pattern) for pattern in patterns if not is_literal(pattern))


def _is_allowed_internal(name: str, include_internal: bool, internal_topics: Sequence[str]) -> bool:
    return include_internal and (not internal_topics or name in internal_topics)
