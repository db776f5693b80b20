"""Validates the bytes of a whole data object, and compares its trailer and its batches with its index lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tasks.engine.validation.damage import DamageFinding, of_lines, of_range
from tasks.engine.validation.frame import Range, SeenBatches, frame_problem
from tasks.model.errors import DamagedError
from tasks.repository.document import sha256_hex
from tasks.repository.lines import Frame, IndexLine
from tasks.repository.names import origin_of
from tasks.segment.frames import FramePlace, decompress_frame
from tasks.segment.reader import TailTooShort, Trailer, read_trailer
from tasks.segment.trailer import TrailerSegment


class NamedLine(NamedTuple):
    """A line that names an object. `counting` are the ranges of the line that count for the point. It is empty if newer
    lines cover the whole line."""

    line: IndexLine
    counting: tuple[Range, ...]


@dataclass(frozen=True, slots=True)
class ObjectCheck:
    """The findings about an object, and the number of its restorable records in the ranges that count."""

    findings: Sequence[DamageFinding]
    records: int = 0


class _Segment(NamedTuple):
    """A segment as the object's trailer describes it, with the places of its frames."""

    stated: TrailerSegment
    places: tuple[FramePlace, ...]


class _LineCheck(NamedTuple):
    finding: DamageFinding | None
    records: int


def check_bytes(key: str, stored: bytes, named: Sequence[NamedLine], *, repository_id: str) -> ObjectCheck:
    """Check an object's bytes against all lines that name it.

    There is one finding for each line that has damaged frames, with the offsets of these frames, or that differs from
    the trailer. If there is none, but the SHA-256 differs or the end of the object is damaged, there is one finding for
    each partition with all its offsets. Raises `UnsupportedError` for an object of a newer format.
    """
    segments, damage = _segments(key, stored, repository_id)
    if {line.sha256 for line, _ in named} != {sha256_hex(stored)}:
        damage = damage or "its SHA-256 is not the one in the index"
    checks = [_check_line(key, stored, one, None if damage else segments) for one in named]
    findings = [check.finding for check in checks if check.finding is not None]
    if damage and not findings:
        findings = of_lines(key, [line for line, _ in named], damage)
    return ObjectCheck(findings, sum(check.records for check in checks))


def _segments(key: str, stored: bytes, repository_id: str) -> tuple[list[_Segment], str | None]:
    """(segments, damage). The segments are those of the object's trailer; none if the trailer or the seek table is
    damaged. `damage` states this damage, or that the trailer names another origin. None if there is no damage."""
    try:
        end = read_trailer(stored, len(stored))
    except DamagedError as error:
        return [], str(error)
    assert not isinstance(end, TailTooShort), "the whole object contains its tail"
    return [_Segment(*one) for one in end.segments()], _origin_problem(key, end, repository_id)


def _origin_problem(key: str, end: Trailer, repository_id: str) -> str | None:
    stated = end.document
    if (stated.repository_id, stated.set, stated.run) == (repository_id, *origin_of(key)):
        return None
    return f"its trailer names another origin: set {stated.set}, run {stated.run}, repository {stated.repository_id}"


def _check_line(key: str, stored: bytes, named: NamedLine, segments: Sequence[_Segment] | None) -> _LineCheck:
    """Check the frames of a line, then compare the line with the object's segments. `segments` is None if the end of
    the object is damaged; then the line is not compared."""
    line, counting = named
    segment = _segment_of(line, segments or ())
    captured = (segment.stated.first, segment.stated.next) if segment else None
    seen = SeenBatches()
    problems = [
        (frame, problem)
        for frame in line.frames
        if (problem := _check_frame(stored, line, frame, captured, counting, seen)) is not None
    ]
    if problems:
        return _LineCheck(_frames_finding(key, line, problems), seen.counted)
    wrong = None if segments is None else _line_problem(line, segment, seen)
    return _LineCheck(of_range(key, line.source, line.first, line.next, wrong) if wrong else None, seen.counted)


def _segment_of(line: IndexLine, segments: Sequence[_Segment]) -> _Segment | None:
    """The segment that the line describes, or from which it was clipped. None if the trailer has no such segment."""
    named = {_place(frame) for frame in line.frames}
    for segment in segments:
        stated = segment.stated
        is_same = (stated.topic, stated.topic_id, stated.partition) == line.source
        if is_same and stated.first <= line.first and line.next <= stated.next and named <= set(segment.places):
            return segment
    return None


def _check_frame(
    stored: bytes, line: IndexLine, frame: Frame, captured: Range | None, counting: Sequence[Range], seen: SeenBatches
) -> str | None:
    try:
        body = memoryview(stored)[frame.position : frame.position + frame.stored_bytes]
        log = decompress_frame(body, log_bytes=frame.log_bytes)
    except DamagedError as error:
        return str(error)
    return frame_problem(line, frame, log, captured=captured, counting=counting, seen=seen)


def _frames_finding(key: str, line: IndexLine, problems: Sequence[tuple[Frame, str]]) -> DamageFinding:
    """One finding from the first to the last damaged frame of a line."""
    first = max(line.first, problems[0][0].first)
    end = min(line.next, problems[-1][0].next)
    others = f" ({len(problems)} frames are damaged)" if len(problems) > 1 else ""
    return of_range(key, line.source, first, end, problems[0][1] + others)


def _line_problem(line: IndexLine, segment: _Segment | None, seen: SeenBatches) -> str | None:
    """The first difference between a line and its segment in the trailer, or its batches. A clipped line can name more
    codecs and larger batches than its batches have."""
    if segment is None:
        return "its trailer has no such segment"
    stated, places = segment
    batches = seen.description
    if (line.captured_ms, line.epochs, line.aborted) != (stated.captured_ms, stated.epochs, stated.aborted):
        return "its trailer and its index line differ in capture time, epochs or aborted ranges"
    if (line.first, line.next) != (stated.first, stated.next):
        is_stated = set(batches.codecs) <= set(line.codecs) and batches.largest_batch_bytes <= line.largest_batch_bytes
        return None if is_stated else "its codecs or its largest batch are not those of its index line"
    if line.gaps != stated.gaps or tuple(_place(frame) for frame in line.frames) != places:
        return "its trailer and its index line differ in gaps or frames"
    actual = (batches.codecs, batches.timestamp_type, batches.largest_batch_bytes, tuple(batches.epochs))
    if actual != (line.codecs, line.timestamp_type, line.largest_batch_bytes, line.epochs):
        return "its codecs, timestamp type, largest batch or epochs are not those of its index line"
    return None


def _place(frame: Frame) -> FramePlace:
    return FramePlace(frame.position, frame.stored_bytes, frame.log_bytes)
