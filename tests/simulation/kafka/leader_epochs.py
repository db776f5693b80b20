"""The first offset of each leader epoch of a log: by these a leader decides whether a position is of its own log.

Source: Kafka's LeaderEpochFileCache.java and Partition.readRecords.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class LeaderEpochs:
    """(epoch, first offset) in ascending order of both."""

    entries: list[tuple[int, int]] = field(default_factory=list)

    @property
    def latest(self) -> int:
        """The newest epoch, or -1."""
        return self.entries[-1][0] if self.entries else -1

    def assign(self, epoch: int, first_offset: int) -> None:
        """The epoch begins at this offset, unless it is known to have begun already."""
        if epoch > self.latest:
            self.entries = [entry for entry in self.entries if entry[1] < first_offset]
            self.entries.append((epoch, first_offset))

    def truncate_from(self, end_offset: int) -> None:
        """The log ends here now."""
        self.entries = [entry for entry in self.entries if entry[1] < end_offset]

    def truncate_before(self, log_start: int) -> None:
        """The log begins here now: the epoch in force there begins there too."""
        before = [epoch for epoch, first in self.entries if first <= log_start]
        if before:
            later = [entry for entry in self.entries if entry[1] > log_start]
            self.entries = [(before[-1], log_start), *later]

    def end_offset(self, epoch: int, log_end: int) -> tuple[int, int] | None:
        """(epoch, end): the largest epoch up to this one, and where it ends. None: the epoch is newer than all."""
        if epoch == self.latest:
            return epoch, log_end
        higher = [entry for entry in self.entries if entry[0] > epoch]
        if not higher:
            return None
        lower = [known for known, _ in self.entries if known <= epoch]
        return (lower[-1] if lower else epoch), higher[0][1]
