"""Reads and writes compressed objects, and decides their zstd level. These are the objects that an entry names by key
and digest: index objects, table objects and state objects."""

from __future__ import annotations

from collections.abc import Iterator

import zstandard

from tasks.model.errors import DamagedError, ObjectExistsError, ObjectNotFoundError
from tasks.repository.document import Document, sha256_hex
from tasks.repository.sealed_objects import READS_BEFORE_DAMAGE
from tasks.store.protocol import ObjectStore

_LEVEL = 6
_LARGEST_BYTES = 4 << 30
_CHUNK_BYTES = 8 << 10
"""The number of stored bytes that are decompressed at a time. Documents can be two hundred times as large as their
stored bytes."""


class StoredRef(Document):
    """A reference to a stored object: its key, the SHA-256 and the number of its stored bytes, and the seq of the entry
    that first named it. If `seq` is None, this is the entry that contains the reference."""

    key: str
    sha256: str
    stored_bytes: int
    seq: int | None = None


def compress_object(data: bytes) -> tuple[bytes, str]:
    """(stored bytes, their SHA-256). The bytes are one zstd frame with a checksum. Equal data gives equal bytes."""
    stored = new_compressor().compress(data)
    return stored, sha256_hex(stored)


def new_compressor() -> zstandard.ZstdCompressor:
    """The compressor of these objects, for data that is compressed piece by piece."""
    return zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)


def put_content(store: ObjectStore, key: str, stored: bytes, digest: str) -> None:
    """Store bytes under a key that contains their digest. May be called again. Raises `DamagedError` if the key holds
    other bytes."""
    try:
        store.put_if_absent(key, [stored], sha256=digest)
    except ObjectExistsError:
        if sha256_hex(store.get(key)[0]) != digest:
            raise DamagedError(f"{key} is damaged: its bytes do not have the digest in its name", key=key) from None


def read_stored(store: ObjectStore, ref: StoredRef) -> bytes:
    """The data of the object that a reference names. Raises `DamagedError` if the object is missing, has another digest
    or cannot be decompressed."""
    return decompress_object(_named_bytes(store, ref), key=ref.key)


def iter_stored(store: ObjectStore, ref: StoredRef) -> Iterator[bytes]:
    """The data of the object in pieces. Only its stored bytes are in memory as a whole. Raises what `read_stored`
    raises."""
    stored = memoryview(_named_bytes(store, ref))
    inflater = zstandard.ZstdDecompressor().decompressobj()
    try:
        for start in range(0, len(stored), _CHUNK_BYTES):
            yield inflater.decompress(stored[start : start + _CHUNK_BYTES])
            if inflater.eof:
                return
    except zstandard.ZstdError as error:
        raise DamagedError(f"{ref.key} is damaged: {error}", key=ref.key) from None
    raise DamagedError(f"{ref.key} is damaged: the end of its zstd frame is missing", key=ref.key)


def decompress_object(stored: bytes, *, key: str) -> bytes:
    """The data of one zstd frame. Raises `DamagedError` with `key` if it cannot be decompressed."""
    try:
        return zstandard.ZstdDecompressor().decompress(stored, max_output_size=_LARGEST_BYTES)
    except zstandard.ZstdError as error:
        raise DamagedError(f"{key} is damaged: {error}", key=key) from None


def _named_bytes(store: ObjectStore, ref: StoredRef) -> bytes:
    for _ in range(READS_BEFORE_DAMAGE):
        try:
            stored, _ = store.get(ref.key)
        except ObjectNotFoundError:
            raise DamagedError(f"{ref.key} is missing", key=ref.key) from None
        if sha256_hex(stored) == ref.sha256:
            return stored
    raise DamagedError(f"{ref.key} is damaged: its SHA-256 is not the one that its reference states", key=ref.key)
