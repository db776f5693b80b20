"""Numbers with their nouns, in the singular or the plural."""

from __future__ import annotations


def counted(count: int, singular: str, plural: str = "") -> str:
    """`1 topic`, `2 topics`, `1,200 topics`. Without `plural` it is the singular with an s."""
    return f"{count:,} {singular if count == 1 else plural or f'{singular}s'}"
