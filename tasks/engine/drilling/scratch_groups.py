"""Writes the translated positions of groups into scratch groups, reads them back, and compares them with the
definition: a position is that of the first restored record at or after the committed offset.

The comparison does not count. It reads the record at the position and the one before it, and compares them with the
records of the backup around the committed offset.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from tasks.batches.records import Record, decode_records
from tasks.broker.ports import ClusterAdmin, RecordReader
from tasks.engine.drilling.drill_result import GroupComparison
from tasks.engine.positions.translate import TranslatedPosition
from tasks.engine.positions.write import write_positions
from tasks.engine.started_restore import StartedRestore
from tasks.repository.frame_reader import FrameReader
from tasks.repository.lines import Frame, IndexLine
from tasks.repository.restores import PartitionCopy, TargetPartition, Targets


def compare_groups(
    admin: ClusterAdmin,
    started: StartedRestore,
    targets: Targets,
    positions: Sequence[TranslatedPosition],
    scratch: Mapping[str, str],
    reader: RecordReader,
) -> list[GroupComparison]:
    """Write, read back and compare. `positions` are translated, `scratch` maps each group to its scratch group. May be
    called again. Raises what `write_positions` and `reader` raise, and `DamagedError` for damaged data."""
    written = write_positions(admin, [replace(one, group=scratch[one.group]) for one in positions])
    places = {
        (target.topic, target.partition): (copy, target)
        for copy, target in zip(started.plan.partitions, targets.partitions, strict=True)
    }
    problems: dict[str, list[str]] = defaultdict(list)
    for position in written:
        copy, target = places[position.target_topic, position.target_partition]
        problem = position.failure or _difference(started, copy, target, position, reader)
        if problem is not None:
            problems[position.group].append(f"{position.target_topic}-{position.target_partition}: {problem}")
    counts: dict[str, int] = defaultdict(int)
    for position in written:
        counts[position.group] += 1
    return [
        GroupComparison(group=group, scratch_group=name, positions=counts[name], problems=tuple(problems[name]))
        for group, name in sorted(scratch.items())
        if name in counts
    ]


def _difference(
    started: StartedRestore,
    copy: PartitionCopy,
    target: TargetPartition,
    position: TranslatedPosition,
    reader: RecordReader,
) -> str | None:
    """The difference between the position and the definition. None if there is none."""
    lines = started.lines[copy.source]
    before, after = records_around(started.reader, lines, position.source_offset)
    offset, end = position.target_offset, target.base + copy.records
    if (after is None) != (offset == end) or (before is None) != (offset == target.base):
        return f"the position {offset} is not that of the committed offset {position.source_offset}"
    for expected, at in ((before, offset - 1), (after, offset)):
        if expected is not None:
            found = _record_at(reader, target, at)
            if found is None or found[1:] != expected[1:]:
                return f"at offset {at} there is another record than the backup has beside {position.source_offset}"
    return None


def _record_at(reader: RecordReader, target: TargetPartition, offset: int) -> Record | None:
    """The record at an offset of a scratch partition, read by the second reader. None if there is none."""
    first, end = reader.bounds(target.target)
    if not first <= offset < end:
        return None
    for part in reader.read(target.target, offset, offset + 1):
        return Record(part.offsets[0], part.timestamps[0], part.keys[0], part.values[0], tuple(part.headers[0]))
    return None


def records_around(reader: FrameReader, lines: Sequence[IndexLine], offset: int) -> tuple[Record | None, Record | None]:
    """(the last restorable record below `offset`, the first one at or after it) of a partition with these counting
    lines. Decodes the frames beside the offset."""
    below = deque(_last_below(reader, lines, offset), maxlen=1)
    return below[0] if below else None, next(_from(reader, lines, offset), None)


def _last_below(reader: FrameReader, lines: Sequence[IndexLine], offset: int) -> Iterator[Record]:
    """The records below `offset` of the last frame that has any."""
    for line in reversed(lines):
        for frame in reversed(line.frames):
            if frame.first < offset and line.first < offset:
                [(_, log)] = reader.frames(line, [frame])
                found = [one for one in _records(reader, line, frame, log) if one.offset < offset]
                if found:
                    yield from found
                    return


def _from(reader: FrameReader, lines: Sequence[IndexLine], offset: int) -> Iterator[Record]:
    for line in lines:
        for frame in line.frames:
            if frame.next > offset and line.next > offset:
                [(_, log)] = reader.frames(line, [frame])
                yield from (one for one in _records(reader, line, frame, log) if one.offset >= offset)


def _records(reader: FrameReader, line: IndexLine, frame: Frame, log: bytes) -> Iterator[Record]:
    """The restorable records of a frame in the range of its line, with the offsets of the source."""
    for position, header in reader.restorable(line, frame, log):
        records = decode_records(log[position : position + header.size_bytes])
        yield from (one for one in records if line.first <= one.offset < line.next)
