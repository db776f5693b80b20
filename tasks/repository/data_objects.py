"""Stores data objects, and reads and verifies their bytes from a store. No other module does this. Contains the usual
largest size of a data object.

Everything that changes how their bytes are stored belongs here, for example encryption or other caches.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tasks.model.errors import DamagedError, ObjectNotFoundError
from tasks.repository.document import sha256_hex
from tasks.repository.lines import IndexLine, StoreChecksum
from tasks.repository.object_cache import ObjectCache
from tasks.repository.sealed_objects import READS_BEFORE_DAMAGE
from tasks.segment.trailer import TrailerSegment, trailer_document
from tasks.segment.writer import ObjectWriter
from tasks.store.protocol import ObjectInfo, ObjectStore

OBJECT_STORED_BYTES: Final = 32 << 20
"""The usual largest size of a data object. An object with a batch that is larger can exceed it."""


class DataObjects:
    """The data objects of one store. Safe to use from several threads."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._whole = ObjectCache()

    def put(
        self, key: str, writer: ObjectWriter, lines: Sequence[IndexLine], *, repository_id: str, set_name: str, run: str
    ) -> list[IndexLine]:
        """Add the trailer to the frames in `writer`, and store the object. Returns the lines in the same order: those
        with frames now name the object, the others are unchanged.

        `lines` have to be in the order of their frames. `writer` cannot be used again. Raises `ObjectExistsError` if
        the key exists, because another attempt has the same writer id.
        """
        segments = [_trailer_segment(line) for line in lines if line.frames]
        finished = writer.finish(
            trailer_document(repository_id=repository_id, set_name=set_name, run=run, segments=segments)
        )
        info = self._store.put_if_absent(key, finished.body, sha256=finished.sha256)
        named = {
            "object": key,
            "sha256": finished.sha256,
            "stored_bytes": finished.size_bytes,
            "checksum": StoreChecksum(info.checksum.kind, info.checksum.value) if info.checksum else None,
        }
        return [line.model_copy(update=named) if line.frames else line for line in lines]

    def info(self, key: str) -> ObjectInfo | None:
        """Size and checksum of an object as the store states them, without reading it. None if it is missing."""
        try:
            return self._store.head(key)
        except ObjectNotFoundError:
            return None

    def read(self, key: str) -> tuple[bytes, ObjectInfo] | None:
        """The whole stored object. Its bytes are neither checked nor cached. None if it is missing."""
        try:
            return self._store.get(key)
        except ObjectNotFoundError:
            return None

    def whole(self, key: str, sha256: str | None) -> bytes:
        """The whole object. It is downloaded once for all threads, as long as `ObjectCache` keeps it. Raises
        `DamagedError`, whose message does not name the object, if it is missing or has another digest."""
        return self._whole.get((key, sha256), lambda: self._checked(key, sha256))

    def range(self, key: str, start: int, length: int) -> bytes:
        """`length` bytes of an object, from byte `start` on. Raises `DamagedError`, whose message does not name the
        object, if it is missing or ends earlier."""
        try:
            return self._store.get_range(key, start, length)
        except ObjectNotFoundError:
            raise DamagedError("the object is missing") from None
        except DamagedError:
            raise DamagedError("the end of the object is missing") from None

    def _checked(self, key: str, sha256: str | None) -> bytes:
        for _ in range(READS_BEFORE_DAMAGE):
            found = self.read(key)
            if found is None:
                raise DamagedError("the object is missing")
            if sha256_hex(found[0]) == sha256:
                return found[0]
        raise DamagedError("its SHA-256 is not the one in the index")


def _trailer_segment(line: IndexLine) -> TrailerSegment:
    return TrailerSegment(
        topic=line.topic,
        topic_id=line.topic_id,
        partition=line.partition,
        first=line.first,
        next=line.next,
        captured_ms=line.captured_ms,
        epochs=line.epochs,
        aborted=line.aborted,
        gaps=line.gaps,
        frames=len(line.frames),
    )
