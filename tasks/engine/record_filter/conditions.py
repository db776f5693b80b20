"""The conditions of a rule about records. Each decides for one record, and, as far as offsets and times show it, for
all records of a frame or a batch at once. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple, Protocol

from tasks.batches.header import BatchHeader
from tasks.batches.record_slices import RecordSlice
from tasks.batches.records import read_headers, read_key
from tasks.repository.lines import Frame, IndexLine


class Kept(Enum):
    """How many of some records are kept, or match: all, some, or none. `SOME` means that it is not known without the
    records themselves: then they have to be read."""

    ALL = auto()
    SOME = auto()
    NONE = auto()

    @property
    def inverse(self) -> Kept:
        """How many records do not match."""
        return {Kept.ALL: Kept.NONE, Kept.SOME: Kept.SOME, Kept.NONE: Kept.ALL}[self]


class Extent(NamedTuple):
    """What is known of some records without reading them: their offsets are in [first, next), their timestamps from
    `min_ms` to `max_ms`. None: the bound is not known."""

    first: int
    next: int
    min_ms: int | None
    max_ms: int | None


def frame_extent(line: IndexLine, frame: Frame) -> Extent:
    """The extent of those records of a frame that are in the range of the line."""
    return Extent(max(frame.first, line.first), min(frame.next, line.next), frame.min_ts, frame.max_ts)


def batch_extent(header: BatchHeader) -> Extent:
    """The extent of the records of a batch. The base timestamp of a batch is no bound: it is the time of the first
    record, or the delete horizon."""
    is_single = header.is_log_append_time or header.record_count == 1
    lowest = header.max_timestamp if is_single else None
    return Extent(header.base_offset, header.next_offset, lowest, header.max_timestamp)


class Condition(Protocol):
    """One condition of a rule."""

    def shown(self, extent: Extent) -> Kept:
        """How many records of the extent fulfil the condition, as far as the extent shows it."""
        ...

    def matches(self, record: RecordSlice, producer_id: int) -> bool:
        """Whether a record that this producer wrote fulfils the condition."""
        ...


@dataclass(frozen=True, slots=True)
class TimeCondition:
    """The timestamp is in [start_ms, end_ms], both included. None: the window has no such bound."""

    start_ms: int | None
    end_ms: int | None

    def shown(self, extent: Extent) -> Kept:
        """See `Condition`."""
        low, high, start, end = extent.min_ms, extent.max_ms, self.start_ms, self.end_ms
        if (start is not None and high is not None and high < start) or (
            end is not None and low is not None and low > end
        ):
            return Kept.NONE
        begins_inside = start is None or (low is not None and low >= start)
        ends_inside = end is None or (high is not None and high <= end)
        return Kept.ALL if begins_inside and ends_inside else Kept.SOME

    def matches(self, record: RecordSlice, producer_id: int) -> bool:
        """See `Condition`."""
        return (self.start_ms is None or record.timestamp >= self.start_ms) and (
            self.end_ms is None or record.timestamp <= self.end_ms
        )


@dataclass(frozen=True, slots=True)
class OffsetCondition:
    """The source offset is in one of the ranges [first, end). None: the range has no end."""

    ranges: tuple[tuple[int, int | None], ...]

    def shown(self, extent: Extent) -> Kept:
        """See `Condition`."""
        touched = [
            (first, end) for first, end in self.ranges if first < extent.next and (end is None or end > extent.first)
        ]
        if any(first <= extent.first and (end is None or end >= extent.next) for first, end in touched):
            return Kept.ALL
        return Kept.SOME if touched else Kept.NONE

    def matches(self, record: RecordSlice, producer_id: int) -> bool:
        """See `Condition`."""
        return any(first <= record.offset and (end is None or record.offset < end) for first, end in self.ranges)


@dataclass(frozen=True, slots=True)
class KeyCondition:
    """The key is one of `whole`, or begins with one of `prefixes`. A record without a key does not match."""

    whole: frozenset[bytes]
    prefixes: tuple[bytes, ...]

    def shown(self, extent: Extent) -> Kept:
        """See `Condition`."""
        return Kept.SOME

    def matches(self, record: RecordSlice, producer_id: int) -> bool:
        """See `Condition`."""
        key = read_key(record.body)
        return key is not None and (key in self.whole or key.startswith(self.prefixes))


@dataclass(frozen=True, slots=True)
class HeaderCondition:
    """One of the headers has this name, and this value unless it is None."""

    name: bytes
    value: bytes | None

    def shown(self, extent: Extent) -> Kept:
        """See `Condition`."""
        return Kept.SOME

    def matches(self, record: RecordSlice, producer_id: int) -> bool:
        """See `Condition`."""
        return any(
            name == self.name and (self.value is None or value == self.value)
            for name, value in read_headers(record.body)
        )


@dataclass(frozen=True, slots=True)
class ProducerCondition:
    """The record was written by one of these producers."""

    ids: frozenset[int]

    def shown(self, extent: Extent) -> Kept:
        """See `Condition`."""
        return Kept.SOME

    def matches(self, record: RecordSlice, producer_id: int) -> bool:
        """See `Condition`."""
        return producer_id in self.ids


def all_of(found: Iterable[Kept]) -> Kept:
    """How many records match all of some conditions, each of which so many match."""
    kinds = set(found)
    if Kept.NONE in kinds:
        return Kept.NONE
    return Kept.SOME if Kept.SOME in kinds else Kept.ALL


def any_of(found: Iterable[Kept]) -> Kept:
    """How many records match at least one of some conditions, each of which so many match."""
    return all_of(one.inverse for one in found).inverse
