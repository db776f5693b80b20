"""The reader: an object is exactly what was written, or the damage is named."""

from __future__ import annotations

import struct

import pytest

from tasks.model.errors import DamagedError
from tasks.segment.reader import (
    FIRST_TAIL_BYTES,
    TailTooShort,
    Trailer,
    iter_frames,
    read_trailer,
    verify_object,
)
from tasks.segment.seek_table import SeekEntry, encode_seek_table
from tests.unit.segment.objects import COMPRESSIONS, Written, batches, packed_object, segment, write_object


def _trailer(data: bytes) -> Trailer:
    trailer = read_trailer(data, len(data))
    assert isinstance(trailer, Trailer)
    return trailer


def _trailer_bytes(written: Written) -> int:
    """Trailer and seek table together."""
    return len(written.data) - written.places[-1].position - written.places[-1].stored_bytes


def _with_table(written: Written, entries: list[SeekEntry]) -> bytes:
    old = encode_seek_table([SeekEntry(0, 0)] * (len(written.places) + 1))
    return written.data[: -len(old)] + encode_seek_table(entries)


def _entries(written: Written) -> list[SeekEntry]:
    table_bytes = 8 + 8 * (len(written.places) + 1) + 9
    frames = [SeekEntry(place.stored_bytes, place.log_bytes) for place in written.places]
    return [*frames, SeekEntry(_trailer_bytes(written) - table_bytes, 0)]


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_whole_object_gives_every_segment_its_frames(compression: str) -> None:
    written = packed_object(compression)
    trailer = verify_object(written.data, sha256=written.finished.sha256)
    assert written.segments == trailer.document.segments
    assert written.places == trailer.places
    assert list(zip(written.places, written.frames, strict=True)) == list(iter_frames(written.data))
    assert [(0, written.places[:2]), (1, written.places[2:3]), (2, written.places[3:])] == [
        (part.partition, places) for part, places in trailer.segments()
    ]


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_stored_sizes_in_the_table_and_the_table_add_up_to_the_object(compression: str) -> None:
    """The rule by which other readers of the seekable format take or refuse an object."""
    data = packed_object(compression).data
    count, descriptor, magic = struct.unpack("<IBI", data[-9:])
    assert (count, descriptor, magic) == (5, 0, 0x8F92EAB1)
    rows = struct.unpack(f"<{2 * count}I", data[-9 - 8 * count : -9])
    assert len(data) == sum(rows[::2]) + 8 + 8 * count + 9


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_every_flipped_byte_of_an_object_is_damage(compression: str) -> None:
    written = write_object([(segment(0, 0, 3, frames=1), [batches(0, 1)])], compression=compression)
    for position in range(len(written.data)):
        damaged = bytearray(written.data)
        damaged[position] ^= 0x10
        with pytest.raises(DamagedError):
            verify_object(bytes(damaged), sha256=written.finished.sha256)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_no_flipped_bit_of_a_lone_object_changes_a_log_or_a_segment_unseen(compression: str) -> None:
    written = write_object([(segment(0, 0, 3, frames=1), [batches(0, 1)])], compression=compression)
    for bit in range(len(written.data) * 8):
        damaged = bytearray(written.data)
        damaged[bit // 8] ^= 1 << bit % 8
        try:
            logs = [log for _, log in iter_frames(bytes(damaged))]
            trailer = verify_object(bytes(damaged), sha256=None)
        except DamagedError:
            continue
        assert ([written.log], written.segments) == (logs, trailer.document.segments), f"bit {bit}"


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_every_flipped_bit_after_the_frames_of_a_lone_object_is_damage(compression: str) -> None:
    written = packed_object(compression)
    for bit in range((len(written.data) - _trailer_bytes(written)) * 8, len(written.data) * 8):
        damaged = bytearray(written.data)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(DamagedError):
            verify_object(bytes(damaged), sha256=None)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_foreign_bytes_anywhere_are_damage(compression: str) -> None:
    written = packed_object(compression)
    data = written.data
    edges = [0, *(place.position + place.stored_bytes for place in written.places), len(data)]
    for edge in edges:
        for foreign in (b"\0", struct.pack("<II", 0x184D2A51, 3) + b"abc", data[: written.places[0].stored_bytes]):
            with pytest.raises(DamagedError):
                verify_object(data[:edge] + foreign + data[edge:], sha256=None)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_cut_object_is_damage_wherever_it_is_cut(compression: str) -> None:
    written = write_object([(segment(0, 0, 3, frames=1), [batches(0, 1)])], compression=compression)
    for length in range(len(written.data)):
        with pytest.raises(DamagedError):
            verify_object(written.data[:length], sha256=None)


def test_a_table_that_shares_the_bytes_out_differently_is_damage() -> None:
    written = packed_object("zstd")
    first, second, *others = _entries(written)
    moved = [
        first._replace(stored_bytes=first.stored_bytes + 1),
        second._replace(stored_bytes=second.stored_bytes - 1),
        *others,
    ]
    assert written.data == _with_table(written, [first, second, *others])
    with pytest.raises(DamagedError, match="at byte 0"):
        verify_object(_with_table(written, moved), sha256=None)
    longer = [first._replace(log_bytes=first.log_bytes + 1), second, *others]
    with pytest.raises(DamagedError, match="instead of"):
        verify_object(_with_table(written, longer), sha256=None)


def test_a_trailer_that_does_not_share_out_the_frames_is_damage() -> None:
    written = write_object([(segment(0, 0, 3, frames=2), [batches(0, 1)])], compression="zstd")
    with pytest.raises(DamagedError, match="another number of frames than its seek table, which has 1"):
        read_trailer(written.data, len(written.data))


def test_another_objects_digest_is_named() -> None:
    with pytest.raises(DamagedError, match="SHA-256"):
        verify_object(packed_object("zstd").data, sha256=packed_object("none").finished.sha256)


@pytest.mark.parametrize("data", [b"", b"short", bytes(16), bytes(1000), b"\xff" * 1000])
def test_bytes_that_are_no_object_are_damage(data: bytes) -> None:
    with pytest.raises(DamagedError):
        read_trailer(data, len(data))


def test_an_object_without_frames_is_whole_and_has_no_log() -> None:
    written = write_object([], compression="zstd")
    assert verify_object(written.data, sha256=None).places == ()


def test_a_tail_that_is_too_short_says_how_much_is_needed() -> None:
    written = packed_object("zstd")
    data, expected = written.data, _trailer(written.data)
    needed = _trailer_bytes(written)
    for length in range(needed):
        answer = read_trailer(data[len(data) - length :], len(data))
        assert TailTooShort(needed if length >= 17 else 17) == answer
    assert expected == read_trailer(data[-needed:], len(data))


def test_a_trailer_of_hundreds_of_segments_is_read_in_two_steps() -> None:
    written = packed_object("zstd", partitions=400)
    data = written.data
    answer = read_trailer(data[-FIRST_TAIL_BYTES:], len(data))
    assert isinstance(answer, TailTooShort)
    assert FIRST_TAIL_BYTES < answer.needed_bytes < len(data)
    trailer = read_trailer(data[-answer.needed_bytes :], len(data))
    assert isinstance(trailer, Trailer)
    assert written.segments == trailer.document.segments


def test_a_table_that_claims_more_than_the_object_is_damage_and_not_a_longer_read() -> None:
    written = packed_object("zstd")
    claims = written.data[:-9] + struct.pack("<IBI", 1 << 27, 0, 0x8F92EAB1)
    with pytest.raises(DamagedError, match="but the object has"):
        read_trailer(claims[-FIRST_TAIL_BYTES:], len(claims))
