"""Writes a data object: frames ‖ trailer ‖ seek table (FORMAT.md), kept as buffers that are never joined."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tasks.segment.frames import FramePlace, frame_maker
from tasks.segment.seek_table import SeekEntry, encode_seek_table
from tasks.segment.trailer import encode_trailer


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedObject:
    """A whole data object: `body` are its bytes as buffers in order, `sha256` their hex digest."""

    body: list[bytes]
    sha256: str
    size_bytes: int


class ObjectWriter:
    """One data object in the making; it holds that object's stored bytes and no log bytes. Not thread-safe.

    `compression` is `zstd`, `lz4` or `none`, `level` is zstd's. Raises `ConfigError` for what does not exist.
    Compressing and hashing let other threads run.
    """

    def __init__(self, *, compression: str, level: int) -> None:
        self._frames = frame_maker(compression, level)
        self._body: list[bytes] = []
        self._entries: list[SeekEntry] = []
        self._sha256 = hashlib.sha256()
        self.stored_bytes = 0
        self.log_bytes = 0

    @property
    def last_frame_bytes(self) -> int:
        """Stored bytes of the frame that was added last: the next one will be about as large."""
        return self._entries[-1].stored_bytes if self._entries else 0

    def add_frame(self, parts: Sequence[bytes | memoryview], *, precompressed: bool = False) -> FramePlace:
        """Append one frame: `parts` joined are whole record batches of one partition, at least one.

        `precompressed` says that most of the batches are compressed already, so that effort would be wasted.
        """
        log_bytes = sum(map(len, parts))
        assert log_bytes, "a frame holds at least one record batch"
        position = self.stored_bytes
        for piece in self._frames.compress(parts, log_bytes, precompressed=precompressed):
            self._append(piece)
        place = FramePlace(position, self.stored_bytes - position, log_bytes)
        self._entries.append(SeekEntry(place.stored_bytes, log_bytes))
        self.log_bytes += log_bytes
        return place

    def finish(self, trailer: Mapping[str, object]) -> FinishedObject:
        """Append the trailer (see `trailer_document`) and the seek table. The writer is used up afterwards."""
        stored = encode_trailer(trailer)
        self._append(stored)
        self._append(encode_seek_table([*self._entries, SeekEntry(len(stored), 0)]))
        return FinishedObject(body=self._body, sha256=self._sha256.hexdigest(), size_bytes=self.stored_bytes)

    def _append(self, piece: bytes) -> None:
        if piece:
            self._body.append(piece)
            self._sha256.update(piece)
            self.stored_bytes += len(piece)
