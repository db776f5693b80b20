"""Writes a data object: frames, trailer, seek table (FORMAT.md). Its bytes are kept as buffers that are never
joined."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tasks.segment.frames import FramePlace, frame_maker
from tasks.segment.seek_table import SeekEntry, encode_seek_table
from tasks.segment.trailer import encode_trailer


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedObject:
    """A whole data object. `body` are its bytes as buffers in order, `sha256` is their hex digest."""

    body: list[bytes]
    sha256: str
    size_bytes: int


class ObjectWriter:
    """A data object that is being written. It keeps the object's stored bytes in memory, but no log bytes. Not
    thread-safe.

    `compression` is `zstd`, `lz4` or `none`; `level` is used for zstd only. Raises `ConfigError` for another
    compression or level. Other threads run during compression and hashing.
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
        """Stored bytes of the frame that was added last, as an estimate for the next one. 0 if there is no frame."""
        return self._entries[-1].stored_bytes if self._entries else 0

    def add_frame(self, parts: Sequence[bytes | memoryview], *, precompressed: bool = False) -> FramePlace:
        """Append one frame and return its place. `parts` joined are whole record batches of one partition, at least
        one.

        `precompressed`: their producers compressed most of the batches, so that compressing them again gains little.
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
        """Append the trailer (see `trailer_document`) and the seek table. Afterwards the writer cannot be used
        again."""
        stored = encode_trailer(trailer)
        self._append(stored)
        self._append(encode_seek_table([*self._entries, SeekEntry(len(stored), 0)]))
        return FinishedObject(body=self._body, sha256=self._sha256.hexdigest(), size_bytes=self.stored_bytes)

    def _append(self, piece: bytes) -> None:
        if piece:
            self._body.append(piece)
            self._sha256.update(piece)
            self.stored_bytes += len(piece)
