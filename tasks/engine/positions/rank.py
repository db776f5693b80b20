"""Computes the rank of an offset: the number of restorable records below it. Target offset = target base + rank."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.repository.frame_reader import FrameReader
from tasks.repository.lines import Frame, IndexLine


def rank(reader: FrameReader, lines: Sequence[IndexLine], offset: int) -> int:
    """The number of restorable records of a partition below `offset`. `lines` are its counting lines, in order.

    Only two kinds of frames are read and decoded: cut frames, and the frame that contains `offset` unless it is a
    countable frame. Raises `DamagedError` if such a frame is missing or damaged, and the errors of the store.
    """
    return sum(_rank_in_line(reader, line, offset) for line in lines if line.first < offset)


def _rank_in_line(reader: FrameReader, line: IndexLine, offset: int) -> int:
    if offset >= line.next:
        return reader.count_records(line)
    return sum(_rank_in_frame(reader, line, frame, offset) for frame in line.frames if frame.first < offset)


def _rank_in_frame(reader: FrameReader, line: IndexLine, frame: Frame, offset: int) -> int:
    if line.is_cut(frame):
        return reader.count(line, frame, line.first, offset)
    if offset >= frame.next:
        return frame.restorable
    if frame.is_countable:
        return offset - frame.first
    return reader.count(line, frame, line.first, offset)
