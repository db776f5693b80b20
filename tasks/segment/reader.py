"""Reads a data object by itself: its trailer from the end, its frames, and whether it is whole."""

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
"""How much to read first: trailer and seek table of all but packed objects with hundreds of segments fit."""


class TailTooShort(NamedTuple):
    """The trailer begins further ahead: ask again with the last `needed_bytes` of the object."""

    needed_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Trailer:
    """What the end of an object says: its document, and the places of all its frames in order."""

    document: TrailerDocument
    places: tuple[FramePlace, ...]

    def segments(self) -> Iterator[tuple[TrailerSegment, tuple[FramePlace, ...]]]:
        """Each segment with the places of its frames."""
        start = 0
        for segment in self.document.segments:
            yield segment, self.places[start : start + segment.frames]
            start += segment.frames


def read_trailer(tail: bytes, object_bytes: int) -> Trailer | TailTooShort:
    """The trailer of an object of `object_bytes` bytes, from its last bytes; `FIRST_TAIL_BYTES` of them mostly do.

    With the answer `TailTooShort` read again what it asks for, which is never more than the object. Raises
    `DamagedError`, whose message lacks the object's key, and `UnsupportedError` for a newer major version. The frames
    themselves are not looked at.
    """
    if len(tail) < SMALLEST_TAIL_BYTES <= object_bytes:
        return TailTooShort(SMALLEST_TAIL_BYTES)
    if object_bytes < SMALLEST_TAIL_BYTES:
        raise DamagedError(f"it is too short for a data object: {object_bytes} bytes")
    table_bytes = seek_table_bytes(tail)
    needed_bytes = table_bytes + last_entry(tail).stored_bytes
    if needed_bytes > object_bytes:
        raise DamagedError(f"its end claims {needed_bytes} bytes, but it has {object_bytes}")
    if needed_bytes > len(tail):
        return TailTooShort(needed_bytes)
    *frames, own = decode_seek_table(tail[-table_bytes:], object_bytes)
    if own.log_bytes != 0:
        raise DamagedError("its seek table gives the trailer log bytes")
    document = decode_trailer(tail[-needed_bytes:-table_bytes])
    if sum(segment.frames for segment in document.segments) != len(frames):
        raise DamagedError(f"its segments do not share out its {len(frames)} frames")
    return Trailer(document=document, places=_places(frames))


def iter_frames(data: bytes) -> Iterator[tuple[FramePlace, bytes]]:
    """(place, record batches) of every frame of a whole object, in order, one in memory at a time.

    When it ends, `data` was exactly frames, trailer and seek table, and the table agrees with the frames. Raises
    `DamagedError`, whose message lacks the object's key, and `UnsupportedError`, at the first thing that is wrong.
    """
    for place in _whole_trailer(data).places:
        stored = memoryview(data)[place.position : place.position + place.stored_bytes]
        try:
            yield place, decompress_frame(stored, log_bytes=place.log_bytes)
        except DamagedError as error:
            raise DamagedError(f"at byte {place.position}: {error}") from None


def verify_object(data: bytes, *, sha256: str | None) -> Trailer:
    """The trailer of a whole object after everything in it was checked, as by `iter_frames`.

    `sha256` is the hex digest that the index has, or None for a lone object: then a flipped bit goes unseen when log
    and trailer are the same with it, as in a frame header. Raises `DamagedError` and `UnsupportedError`.
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
