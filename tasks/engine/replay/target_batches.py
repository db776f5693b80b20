"""The sequence of batches that a restore writes to a target partition."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from tasks.batches.regroup import regroup
from tasks.engine.record_filter.batches import kept_batches
from tasks.engine.record_filter.record_filter import KEEPS_ALL, Kept, RecordFilter
from tasks.engine.record_filter.sections import placed_frames
from tasks.repository.frame_reader import FrameReader
from tasks.repository.lines import Frame, IndexLine


def target_batches(
    reader: FrameReader,
    lines: Sequence[IndexLine],
    wanted: RecordFilter = KEEPS_ALL,
    *,
    regroup_bytes: int,
    from_section: int = 0,
) -> Iterator[bytes]:
    """The batches with the kept records of a source partition, from the beginning of the section `from_section` on. The
    sequence depends on the arguments alone, and one from a later section is the end of one from an earlier section."""
    for _, section in groupby(_read_frames(reader, lines, wanted, from_section), key=lambda item: item[0]):
        batches = (batch for _, line, frame, log in section for batch in kept_batches(reader, line, frame, log, wanted))
        yield from regroup(batches, target_bytes=regroup_bytes)


def _read_frames(
    reader: FrameReader, lines: Sequence[IndexLine], wanted: RecordFilter, from_section: int
) -> Iterator[tuple[int, IndexLine, Frame, bytes]]:
    """(section, line, frame, its batches) of the frames that can contain kept records."""
    placed = (one for one in placed_frames(lines) if one.section >= from_section)
    for _, group in groupby(placed, key=lambda one: id(one.line)):
        of_line = [one for one in group if wanted.kept(one.line, one.frame) is not Kept.NONE]
        if of_line:
            line, section_of = of_line[0].line, {one.frame.position: one.section for one in of_line}
            for frame, log in reader.frames(line, [one.frame for one in of_line]):
                yield section_of[frame.position], line, frame, log
