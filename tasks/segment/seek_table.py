"""The seek table at the end of every data object, as in the Zstandard Seekable Format 0.1.0. Little-endian.

    skippable frame header   uint32 184D2A5E · uint32 bytes that follow
    per frame of the object  uint32 stored bytes · uint32 log bytes
    footer                   uint32 number of entries · uint8 descriptor 0 · uint32 8F92EAB1

The last entry is that of the trailer's skippable frame, with 0 log bytes. It is needed because readers that add up the
sizes refuse an object without it. Descriptor 0 means that the table has no checksums, because every frame has its own.
Source: contrib/seekable_format/zstd_seekable_compression_format.md of zstd.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import Final, NamedTuple

from tasks.model.errors import DamagedError

SKIPPABLE_HEADER = Struct("<II")
SMALLEST_TAIL_BYTES: Final = 17
"""The footer and the entry before it. They state how large table and trailer are."""

_SEEK_TABLE_MAGIC: Final = 0x184D2A5E
_SEEKABLE_MAGIC: Final = 0x8F92EAB1
_ENTRY = Struct("<II")
_FOOTER = Struct("<IBI")


class SeekEntry(NamedTuple):
    """The sizes of one frame, stored and decompressed."""

    stored_bytes: int
    log_bytes: int


def skippable_frame(magic: int, content: bytes) -> bytes:
    """A frame that zstd and lz4 readers ignore. `magic` is one of 184D2A50 to 184D2A5F."""
    return SKIPPABLE_HEADER.pack(magic, len(content)) + content


def encode_seek_table(entries: Sequence[SeekEntry]) -> bytes:
    """The bytes of the whole table, its frame header included."""
    rows = b"".join(_ENTRY.pack(*entry) for entry in entries)
    return skippable_frame(_SEEK_TABLE_MAGIC, rows + _FOOTER.pack(len(entries), 0, _SEEKABLE_MAGIC))


def seek_table_bytes(tail: bytes) -> int:
    """The size of the seek table at the end of `tail`, which has at least `SMALLEST_TAIL_BYTES`. Raises `DamagedError`
    if there is no seek table."""
    count, descriptor, magic = _FOOTER.unpack_from(tail, len(tail) - _FOOTER.size)
    if magic != _SEEKABLE_MAGIC or descriptor != 0 or count == 0:
        raise DamagedError("it does not end with a seek table")
    return SKIPPABLE_HEADER.size + int(count) * _ENTRY.size + _FOOTER.size


def last_entry(tail: bytes) -> SeekEntry:
    """The last entry of the seek table at the end of `tail`, which has at least `SMALLEST_TAIL_BYTES`."""
    return SeekEntry._make(_ENTRY.unpack_from(tail, len(tail) - SMALLEST_TAIL_BYTES))


def decode_seek_table(table: bytes, object_bytes: int) -> list[SeekEntry]:
    """The entries of a whole seek table, whose size is `seek_table_bytes`. `object_bytes` is the size of the object.

    Raises `DamagedError` if the bytes are not a seek table, or the stored sizes and the table's own size do not add up
    to the object's size.
    """
    magic, content_bytes = SKIPPABLE_HEADER.unpack_from(table)
    if magic != _SEEK_TABLE_MAGIC or content_bytes != len(table) - SKIPPABLE_HEADER.size:
        raise DamagedError("its seek table does not begin where it should")
    rows = table[SKIPPABLE_HEADER.size : -_FOOTER.size]
    entries = [SeekEntry._make(row) for row in _ENTRY.iter_unpack(rows)]
    total = sum(entry.stored_bytes for entry in entries) + len(table)
    if total != object_bytes:
        raise DamagedError(f"the sizes in its seek table add up to {total} bytes, but the object has {object_bytes}")
    return entries
