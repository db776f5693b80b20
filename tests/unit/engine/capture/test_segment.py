"""Segments: the batches that share a frame."""

from __future__ import annotations

import pytest

from tasks.batches.header import CODECS, assemble, read_header
from tasks.engine.capture.segment import FRAME_LOG_BYTES, FULL_ENOUGH_BYTES, Segment, SegmentStart
from tasks.model.errors import UnsupportedBatchError
from tasks.model.partition import Partition
from tasks.segment.writer import ObjectWriter
from tests.support.batch_factory import make_batch, make_records

SOURCE = Partition("orders", "AAAAAAAAAAAAAAAAAAAAAA", 0)


def _batch(base_offset: int, size_bytes: int) -> bytes:
    return make_batch(make_records(1, first=base_offset, size_bytes=size_bytes), base_offset=base_offset)


@pytest.mark.parametrize(
    ("sizes_bytes", "ends_answer", "closes"),
    [
        ([FULL_ENOUGH_BYTES], True, [True]),
        ([FULL_ENOUGH_BYTES], False, [False]),
        ([FULL_ENOUGH_BYTES // 2], True, [False]),
        ([FULL_ENOUGH_BYTES // 2] * 2, True, [False, True]),
        ([FRAME_LOG_BYTES // 2] * 2, False, [False, True]),
        ([3 * FRAME_LOG_BYTES], False, [True]),
    ],
)
def test_a_frame_is_closed_if_it_is_full_or_three_quarters_full_at_the_end_of_an_answer(
    sizes_bytes: list[int], ends_answer: bool, closes: list[bool]
) -> None:
    writer = ObjectWriter(compression="none", level=3)
    segment = Segment(writer, SOURCE, SegmentStart(first=0), len(sizes_bytes))
    closed = []
    for offset, size_bytes in enumerate(sizes_bytes):
        batch = _batch(offset, size_bytes)
        header = read_header(batch, 0)
        closed.append(segment.add(batch, memoryview(batch), 0, header, ends_answer=ends_answer))
    assert closes == closed
    line = segment.finish(captured_ms=0)
    assert line is not None
    assert len(sizes_bytes) == sum(frame.restorable for frame in line.frames)
    assert [0, len(sizes_bytes)] == [line.frames[0].first, line.frames[-1].next]


def test_a_batch_with_an_unknown_codec_is_refused_and_the_batches_before_it_are_kept() -> None:
    segment = Segment(ObjectWriter(compression="none", level=3), SOURCE, SegmentStart(first=0), 2)
    known, plain = _batch(0, 10), _batch(1, 10)
    header = read_header(plain, 0)
    unknown = assemble(header._replace(attributes=len(CODECS)), plain[61:])
    segment.add(known, memoryview(known), 0, read_header(known, 0))
    with pytest.raises(UnsupportedBatchError, match="The batch at offset 1 has the unknown codec 5"):
        segment.add(unknown, memoryview(unknown), 0, read_header(unknown, 0))
    line = segment.finish(captured_ms=0)
    assert line is not None
    assert (0, 1, ("none",), len(known)) == (line.first, line.next, line.codecs, line.log_bytes)
