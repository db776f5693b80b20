"""Notes on patterns that are valid and can mean something else than their author meant. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from tasks.engine.options import TopicSelection
from tasks.engine.topic_patterns import compile_pattern, is_literal
from tasks.model.errors import ConfigError
from tasks.model.quoting import some_of

_MOST_NAMES = 5


def pattern_notes(selection: TopicSelection, names: Collection[str]) -> list[str]:
    """Notes on the patterns of a selection that selected `names`.

    A pattern with `.*` looks like a regular expression: its note names what it matched and how the expression is
    written. A pattern to include that matches nothing is named too.
    """
    return [*_notes_on_includes(selection.include, sorted(names)), *_notes_on_excludes(selection.exclude, names)]


def _notes_on_includes(patterns: Sequence[str], names: Sequence[str]) -> Iterator[str]:
    for pattern in patterns:
        if is_literal(pattern):
            continue
        matched = [name for name in names if compile_pattern(pattern).fullmatch(name)]
        if _looks_like_an_expression(pattern):
            yield (
                f"topics.include {pattern!r} is a pattern in which '.' is a dot and * is any text: it selected "
                f"{_listed(matched)}. A regular expression begins with ~: '~{pattern}'."
            )
        elif not matched:
            yield f"topics.include {pattern!r} selected no topic."


def _notes_on_excludes(patterns: Sequence[str], names: Collection[str]) -> Iterator[str]:
    """A note for each excluded pattern that looks like a regular expression, if topics were selected that this regular
    expression would exclude. The excluded topics themselves are not known here."""
    for pattern in filter(_looks_like_an_expression, patterns):
        try:
            expression = compile_pattern(f"~{pattern}")
        except ConfigError:
            continue
        kept = sorted(name for name in names if expression.fullmatch(name))
        if kept:
            yield (
                f"topics.exclude {pattern!r} is a pattern in which '.' is a dot and * is any text: it did not exclude "
                f"{_listed(kept)}. A regular expression begins with ~: '~{pattern}'."
            )


def _looks_like_an_expression(pattern: str) -> bool:
    return not pattern.startswith("~") and ".*" in pattern


def _listed(names: Sequence[str]) -> str:
    return some_of(names, most=_MOST_NAMES) if names else "no topic"
