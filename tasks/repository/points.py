"""Points: which one a reference means, and which lines count for each of its partitions."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from tasks.model.errors import ConfigError, NotFoundError
from tasks.model.partition import Partition
from tasks.model.ranges import Gap, disjoint_pieces
from tasks.repository.entries import PointEntry
from tasks.repository.index import read_index
from tasks.repository.lines import Frame, IndexLine
from tasks.repository.names import check_set_name
from tasks.repository.partition_table import Row, read_table
from tasks.repository.set_state import SetState
from tasks.store.protocol import ObjectStore


@dataclass(frozen=True, slots=True)
class PointReference:
    """`set`, `set@17` or `set@2026-11-22T10:00:00Z`: the latest point, the entry's number, or the point's time."""

    set_name: str
    seq: int | None = None
    time_ms: int | None = None

    @classmethod
    def parse(cls, text: str) -> PointReference:
        """Raises `ConfigError` for anything else."""
        name, at, point = text.partition("@")
        check_set_name(name)
        if not at:
            return cls(name)
        if point.isdecimal():
            return cls(name, seq=int(point))
        return cls(name, time_ms=_parse_time(text, point))


def format_time(time_ms: int) -> str:
    """A time as `list` prints it and references take it: UTC, seconds, or milliseconds where there are some."""
    moment = datetime.fromtimestamp(time_ms // 1000, UTC)
    fraction = f".{time_ms % 1000:03d}" if time_ms % 1000 else ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"


def choose_point(state: SetState, reference: PointReference) -> int:
    """The seq of the live point that is meant. Raises `NotFoundError` naming what there is."""
    name = reference.set_name
    if reference.seq is not None:
        if reference.seq in state.points:
            return reference.seq
        raise NotFoundError(f"{name}@{reference.seq} is not a restore point of set {name!r}.")
    if reference.time_ms is not None:
        return _at_time(state, reference)
    if state.newest_point is None or state.newest_point not in state.points:
        raise NotFoundError(f"The backup set {name!r} has no restore point.")
    return state.newest_point


def read_rows(store: ObjectStore, point: PointEntry) -> dict[Partition, Row]:
    """The point's partition table."""
    return read_table(store, point.table, entry_seq=point.seq)


def read_lines(store: ObjectStore, point: PointEntry, rows: Iterable[Row]) -> dict[Partition, list[IndexLine]]:
    """For each row the lines that count for it, in offset order and disjoint, clipped to the row's [first, next).

    A line counts iff its seq ≥ the row's `base_seq`; where ranges overlap the later seq wins.
    """
    wanted = {row.source: row for row in rows}
    found: dict[Partition, list[IndexLine]] = defaultdict(list)
    for ref in point.index:
        for line in read_index(store, ref, entry_seq=point.seq):
            if line.source in wanted:
                found[line.source].append(line)
    return {source: counting_lines(row, found[source]) for source, row in wanted.items()}


def counting_lines(row: Row, lines: Iterable[IndexLine]) -> list[IndexLine]:
    """The lines that count for a row, in offset order, disjoint, clipped to the row's [first, next).

    A line counts if its seq is at least the row's `base_seq`. Where lines overlap, the one with the larger seq keeps
    the common offsets. Takes n log n steps for n lines. Pure.
    """
    counting = [line for line in lines if line.seq is not None and line.seq >= (row.base_seq or 0)]
    newest_first = sorted(counting, key=lambda line: line.seq or 0, reverse=True)
    ranges = [(max(line.first, row.first), min(line.next, row.next)) for line in newest_first]
    return [clip_line(newest_first[index], first, end) for first, end, index in disjoint_pieces(ranges)]


def clip_line(line: IndexLine, first: int, end: int) -> IndexLine:
    """The line cut to [first, end). Frames outside go; one that is cut stays whole, and `line.is_cut` tells."""
    if (first, end) == (line.first, line.next):
        return line
    return line.model_copy(
        update={
            "first": first,
            "next": end,
            "gaps": tuple(
                Gap(max(g.first, first), min(g.next, end), g.reason) for g in line.gaps if _meets(g, first, end)
            ),
            "frames": tuple(frame for frame in line.frames if _meets(frame, first, end)),
            "trimmed_from": line.trimmed_from if first == line.first else None,
            "empty_from": line.empty_from if end == line.next else None,
        }
    )


def _meets(part: Gap | Frame, first: int, end: int) -> bool:
    return part.first < end and part.next > first


def _at_time(state: SetState, reference: PointReference) -> int:
    name = reference.set_name
    exact = [seq for seq, point in state.points.items() if point.time_ms == reference.time_ms]
    same_second = [
        seq
        for seq, point in state.points.items()
        if reference.time_ms is not None and point.time_ms // 1000 == reference.time_ms // 1000
    ]
    candidates = exact or (same_second if reference.time_ms is not None and reference.time_ms % 1000 == 0 else [])
    if len(candidates) == 1:
        return candidates[0]
    asked = f"{name}@{format_time(reference.time_ms or 0)}"
    if not candidates:
        raise NotFoundError(f"{asked} is not a restore point; `kafka-backup list` shows those that are.")
    names = ", ".join(f"{name}@{seq}" for seq in sorted(candidates))
    raise NotFoundError(f"{asked} could be any of {names}; name one of them.")


def _parse_time(text: str, point: str) -> int:
    if re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?(Z|[+-]\d\d:\d\d)", point):
        try:
            return round(datetime.fromisoformat(point).timestamp() * 1000)
        except ValueError:
            pass
    raise ConfigError(f"{text!r} does not name a restore point: write the set, set@17 or set@2026-11-22T10:00:00Z.")
