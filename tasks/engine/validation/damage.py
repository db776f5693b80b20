"""Damage that validation finds: which object, and of which topic, partition and offsets it takes what."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from tasks.model.errors import DamagedError
from tasks.model.partition import Partition
from tasks.repository.lines import IndexLine


@dataclass(frozen=True, slots=True)
class DamageFinding:
    """One object with what is wrong with it. `topic`, `partition` and the offsets [first, next) say what of the backup
    it concerns; they are None where it concerns the whole point."""

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
    """The finding that an error stands for."""
    return of_object(error.key or "", str(error))


def of_range(key: str, source: Partition, first: int, end: int, message: str) -> DamageFinding:
    """A finding that concerns offsets [first, end) of a partition."""
    return DamageFinding(key, source.topic, source.partition, first, end, message)


def of_lines(key: str, lines: Sequence[IndexLine], message: str) -> list[DamageFinding]:
    """One finding for each partition that the lines, those of one object, are of."""
    ranges: dict[Partition, list[IndexLine]] = defaultdict(list)
    for line in lines:
        ranges[line.source].append(line)
    return [
        of_range(key, source, min(line.first for line in own), max(line.next for line in own), message)
        for source, own in ranges.items()
    ]
