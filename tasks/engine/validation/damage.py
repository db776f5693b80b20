"""The findings of a validation: each names a damaged object, and the topic, partition and offsets that the damage
concerns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from tasks.model.errors import DamagedError
from tasks.model.partition import Partition
from tasks.repository.lines import IndexLine


@dataclass(frozen=True, slots=True)
class DamageFinding:
    """One object, and what is wrong with it. `topic`, `partition` and the offsets [first, next) are the part of the
    backup that it concerns. They are None if it concerns the whole point."""

    object: str
    topic: str | None
    partition: int | None
    first: int | None
    next: int | None
    message: str

    def __str__(self) -> str:
        parts = [] if self.message.startswith(self.object) else [self.object]
        if self.topic is not None:
            parts.append(f"topic {self.topic}, partition {self.partition}, {self._offsets()}")
        return ": ".join([*parts, self.message])

    def _offsets(self) -> str:
        if self.first is None or self.next is None:
            return "all offsets"
        if self.first >= self.next:
            return f"no offset at {self.first}"
        return f"offsets {self.first} to {self.next - 1}"


def of_object(key: str, message: str) -> DamageFinding:
    """A finding that concerns the whole point."""
    return DamageFinding(key, None, None, None, None, message)


def of_error(error: DamagedError) -> DamageFinding:
    """The finding for an error: it concerns the whole point."""
    return of_object(error.key or "", str(error))


def of_range(key: str, source: Partition, first: int, end: int, message: str) -> DamageFinding:
    """A finding that concerns offsets [first, end) of a partition."""
    return DamageFinding(key, source.topic, source.partition, first, end, message)


def of_lines(key: str, lines: Sequence[IndexLine], message: str) -> list[DamageFinding]:
    """One finding for each partition of the lines, from its first to its last offset. All lines are of the same
    object."""
    ranges: dict[Partition, list[IndexLine]] = defaultdict(list)
    for line in lines:
        ranges[line.source].append(line)
    return [
        of_range(key, source, min(line.first for line in own), max(line.next for line in own), message)
        for source, own in ranges.items()
    ]
