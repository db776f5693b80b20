"""The sequence of batches that a restore writes to a target partition."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from tasks.batches.regroup import regroup
from tasks.engine.record_filter.batches import kept_batches
from tasks.engine.record_filter.record_filter import KEEPS_ALL, RecordFilter
from tasks.engine.record_filter.sections import placed_frames, read_frames
from tasks.repository.frame_reader import FrameReader
from tasks.repository.lines import IndexLine


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
    placed = (one for one in placed_frames(lines) if one.section >= from_section)
    for _, section in groupby(read_frames(reader, placed, wanted, is_sent=True), key=lambda item: item[0]):
        batches = (
            batch
            for _, line, frame, log in section
            if log is not None
            for batch in kept_batches(reader, line, frame, log, wanted)
        )
        yield from regroup(batches, target_bytes=regroup_bytes)
