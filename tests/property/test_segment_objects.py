"""Data objects of any shape: what was written is read, and nothing else passes for it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.model.errors import DamagedError
from tasks.model.ranges import AbortedRange, Gap
from tasks.segment.frames import decompress_frame
from tasks.segment.reader import TailTooShort, iter_frames, read_trailer, verify_object
from tasks.segment.trailer import TrailerSegment, trailer_document
from tasks.segment.writer import ObjectWriter
from tests.unit.segment.objects import COMPRESSIONS, packed_object

OFFSETS = st.integers(0, 2**63 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
LOGS = st.one_of(st.binary(min_size=1, max_size=300), st.builds(bytes, st.integers(1, 300_000)))
SLICES = st.lists(LOGS, min_size=1, max_size=4)
FRAMES = st.lists(st.tuples(SLICES, st.booleans()), max_size=3)
SEGMENTS = st.builds(
    TrailerSegment,
    topic=TEXT,
    topic_id=TEXT,
    partition=st.integers(0, 2**31 - 1),
    first=OFFSETS,
    next=OFFSETS,
    captured_ms=OFFSETS,
    epochs=st.lists(st.tuples(st.integers(-1, 2**31 - 1), OFFSETS), max_size=2).map(tuple),
    aborted=st.lists(st.builds(AbortedRange, OFFSETS, OFFSETS, OFFSETS), max_size=2).map(tuple),
    gaps=st.lists(st.builds(Gap, OFFSETS, OFFSETS, TEXT), max_size=2).map(tuple),
    frames=st.just(0),
)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.sampled_from(COMPRESSIONS), st.lists(st.tuples(SEGMENTS, FRAMES), max_size=4), st.integers(0, 400))
def test_what_is_written_is_read(
    compression: str, contents: list[tuple[TrailerSegment, list[tuple[list[bytes], bool]]]], tail_bytes: int
) -> None:
    writer = ObjectWriter(compression=compression, level=1)
    logs, places, segments = [], [], []
    for stated, frames in contents:
        for parts, precompressed in frames:
            places.append(writer.add_frame(parts, precompressed=precompressed))
            logs.append(b"".join(parts))
        segments.append(_with_frames(stated, len(frames)))
    finished = writer.finish(trailer_document(repository_id="r", set_name="s", run="1", segments=segments))
    data = b"".join(finished.body)

    assert tuple(segments) == verify_object(data, sha256=finished.sha256).document.segments
    assert list(zip(places, logs, strict=True)) == list(iter_frames(data))
    for place, log in zip(places, logs, strict=True):
        stored = data[place.position : place.position + place.stored_bytes]
        assert log == decompress_frame(stored, log_bytes=place.log_bytes)
    answer = read_trailer(data[max(0, len(data) - tail_bytes) :], len(data))
    while isinstance(answer, TailTooShort):
        answer = read_trailer(data[len(data) - answer.needed_bytes :], len(data))
    assert tuple(places) == answer.places


@settings(deadline=None, derandomize=True, max_examples=150)
@given(
    st.sampled_from(COMPRESSIONS),
    st.floats(0, 1, exclude_max=True),
    st.integers(0, 40),
    st.binary(max_size=40),
)
def test_bytes_that_were_replaced_removed_or_inserted_are_damage(
    compression: str, place: float, removed: int, inserted: bytes
) -> None:
    written = packed_object(compression)
    data = written.data
    at = int(place * len(data))
    damaged = data[:at] + inserted + data[at + removed :]
    if damaged == data:
        return
    for sha256 in (written.finished.sha256, None):
        try:
            trailer = verify_object(damaged, sha256=sha256)
        except DamagedError:
            continue
        assert sha256 is None
        assert list(written.frames) == [log for _, log in iter_frames(damaged)]
        assert written.segments == trailer.document.segments


def _with_frames(stated: TrailerSegment, frames: int) -> TrailerSegment:
    value = {name: getattr(stated, name) for name in stated.__slots__}
    return TrailerSegment(**{**value, "frames": frames})
