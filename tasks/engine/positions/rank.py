"""Computes the rank of an offset: the number of restored records below it. Target offset = target base + rank."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from tasks.engine.record_filter.batches import count_kept
from tasks.engine.record_filter.record_filter import KEEPS_ALL, RecordFilter
from tasks.engine.record_filter.sections import PlacedFrame, placed_frames
from tasks.repository.frame_reader import FrameReader
from tasks.repository.lines import IndexLine


def rank(
    reader: FrameReader,
    lines: Sequence[IndexLine],
    offset: int,
    wanted: RecordFilter = KEEPS_ALL,
    section_records: Sequence[int] = (),
) -> int:
    """The number of restored records of a partition below `offset`. `lines` are its counting lines, in order.
    `section_records` are those of the plan (`PartitionCopy`), empty if the index shows all counts.

    Only frames whose count neither the index nor the sections show are read and decoded: with sections these are at
    most the frames of the section that contains `offset`. Raises `DamagedError` if such a frame is missing or damaged,
    and the errors of the store.
    """
    below, total = wanted.below(offset), 0
    for section, group in groupby(placed_frames(lines), key=lambda one: one.section):
        frames = list(group)
        if _first(frames[0]) >= offset:
            break
        if section < len(section_records) and _end(frames[-1]) <= offset:
            total += section_records[section]
        else:
            total += sum(count_kept(reader, one.line, one.frame, below) for one in frames)
    return total


def _first(placed: PlacedFrame) -> int:
    return max(placed.frame.first, placed.line.first)


def _end(placed: PlacedFrame) -> int:
    return min(placed.frame.next, placed.line.next)
