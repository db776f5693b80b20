"""The writer: places, sizes and the digest are those of the bytes it hands over."""

from __future__ import annotations

import hashlib

import pytest

from tasks.segment.frames import decompress_frame
from tasks.segment.writer import ObjectWriter
from tests.unit.segment.objects import COMPRESSIONS, batches, packed_object


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_size_and_digest_are_those_of_the_body(compression: str) -> None:
    written = packed_object(compression)
    assert len(written.data) == written.finished.size_bytes
    assert hashlib.sha256(written.data).hexdigest() == written.finished.sha256


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_one_frame_is_read_by_its_place_alone(compression: str) -> None:
    written = packed_object(compression)
    for place, log in zip(written.places, written.frames, strict=True):
        stored = written.data[place.position : place.position + place.stored_bytes]
        assert log == decompress_frame(stored, log_bytes=place.log_bytes)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_the_sizes_so_far_count_every_frame(compression: str) -> None:
    writer = ObjectWriter(compression=compression, level=3)
    assert (writer.stored_bytes, writer.log_bytes) == (0, 0)
    log = batches(0, 5)
    first = writer.add_frame([log])
    second = writer.add_frame([log], precompressed=True)
    assert (0, len(log)) == (first.position, first.log_bytes)
    assert first.stored_bytes == second.position
    assert (first.stored_bytes + second.stored_bytes, 2 * len(log)) == (writer.stored_bytes, writer.log_bytes)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_slices_make_the_same_log_as_one_piece(compression: str) -> None:
    log = batches(0, 9)
    writer = ObjectWriter(compression=compression, level=3)
    place = writer.add_frame([b"", memoryview(log)[:1], log[1:70], memoryview(log)[70:], b""])
    stored = b"".join(writer.finish({}).body)[: place.stored_bytes]
    assert log == decompress_frame(stored, log_bytes=len(log))


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_the_writer_keeps_no_log_bytes(compression: str) -> None:
    log = bytearray(batches(0, 50))
    writer = ObjectWriter(compression=compression, level=3)
    place = writer.add_frame([memoryview(log)])
    expected = bytes(log)
    log[:] = bytes(len(log))  # the caller's buffer is used again for the next answer
    stored = b"".join(writer.finish({}).body)[: place.stored_bytes]
    assert expected == decompress_frame(stored, log_bytes=len(expected))
