"""Reads a data object without its index: its trailer and its frames. Checks whether the object is whole."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from tasks.model.errors import DamagedError
from tasks.segment.frames import FramePlace, decompress_frame
from tasks.segment.seek_table import (
    SMALLEST_TAIL_BYTES,
    SeekEntry,
    decode_seek_table,
    last_entry,
    seek_table_bytes,
)
from tasks.segment.trailer import TrailerDocument, TrailerSegment, decode_trailer

FIRST_TAIL_BYTES: Final = 64 << 10
"""The number of bytes to read first. Trailer and seek table fit into them, except for packed objects with hundreds of
segments."""


class TailTooShort(NamedTuple):
    """The tail does not contain all that is needed: call again with the last `needed_bytes` of the object."""

    needed_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Trailer:
    """The decoded end of an object: the trailer's document, and the places of all frames in order."""

    document: TrailerDocument
    places: tuple[FramePlace, ...]

    def segments(self) -> Iterator[tuple[TrailerSegment, tuple[FramePlace, ...]]]:
        """Each segment with the places of its frames, in order."""
        start = 0
        for segment in self.document.segments:
            yield segment, self.places[start : start + segment.frames]
            start += segment.frames


def read_trailer(tail: bytes, object_bytes: int) -> Trailer | TailTooShort:
    """The trailer of an object of `object_bytes` bytes. `tail` are its last bytes; `FIRST_TAIL_BYTES` are usually
    enough.

    If they are not enough, returns `TailTooShort`: call again with the last `needed_bytes` of the object, which are
    never more than the object has. Raises `DamagedError`, whose message does not name the object, if the end is
    damaged, and `UnsupportedError` for a newer major version. The frames are not read.
    """
    if len(tail) < SMALLEST_TAIL_BYTES <= object_bytes:
        return TailTooShort(SMALLEST_TAIL_BYTES)
    if object_bytes < SMALLEST_TAIL_BYTES:
        raise DamagedError(f"it is too short for a data object: {object_bytes} bytes")
    table_bytes = seek_table_bytes(tail)
    needed_bytes = table_bytes + last_entry(tail).stored_bytes
    if needed_bytes > object_bytes:
        raise DamagedError(f"its trailer and seek table need {needed_bytes} bytes, but the object has {object_bytes}")
    if needed_bytes > len(tail):
        return TailTooShort(needed_bytes)
    *frames, own = decode_seek_table(tail[-table_bytes:], object_bytes)
    if own.log_bytes != 0:
        raise DamagedError("the log size of the trailer in its seek table is not 0")
    document = decode_trailer(tail[-needed_bytes:-table_bytes])
    if sum(segment.frames for segment in document.segments) != len(frames):
        raise DamagedError(f"its segments have another number of frames than its seek table, which has {len(frames)}")
    return Trailer(document=document, places=_places(frames))


def iter_frames(data: bytes) -> Iterator[tuple[FramePlace, bytes]]:
    """(place, record batches) of every frame of a whole object, in order. Only one frame is in memory at a time,
    besides `data`.

    If the iteration ends without an error, `data` is exactly frames, trailer and seek table, and the frames have the
    sizes in the table. Raises `DamagedError`, whose message does not name the object, at the first damage, and
    `UnsupportedError` for a newer major version.
    """
    for place in _whole_trailer(data).places:
        stored = memoryview(data)[place.position : place.position + place.stored_bytes]
        try:
            yield place, decompress_frame(stored, log_bytes=place.log_bytes)
        except DamagedError as error:
            raise DamagedError(f"at byte {place.position}: {error}") from None


def verify_object(data: bytes, *, sha256: str | None) -> Trailer:
    """The trailer of a whole object, after everything in the object was checked as by `iter_frames`.

    `sha256` is the hex digest in the index, None for an object without an index. Without it a flipped bit is not found
    if it changes neither the log nor the trailer, for example in the header of a frame. Raises what `iter_frames`
    raises.
    """
    if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
        raise DamagedError("its SHA-256 is not the one in the index")
    for _ in iter_frames(data):
        pass
    return _whole_trailer(data)


def _whole_trailer(data: bytes) -> Trailer:
    trailer = read_trailer(data, len(data))
    assert isinstance(trailer, Trailer), "the whole object is never too short a tail"
    return trailer


def _places(entries: Sequence[SeekEntry]) -> tuple[FramePlace, ...]:
    places, position = [], 0
    for entry in entries:
        places.append(FramePlace(position, entry.stored_bytes, entry.log_bytes))
        position += entry.stored_bytes
    return tuple(places)
