"""The seek table at the end of every data object, as in the Zstandard Seekable Format 0.1.0. Little-endian.

    skippable frame header   uint32 184D2A5E · uint32 bytes that follow
    per frame of the object  uint32 stored bytes · uint32 log bytes
    footer                   uint32 number of entries · uint8 descriptor 0 · uint32 8F92EAB1

The last entry is the trailer's own skippable frame, with 0 log bytes: readers that add up the sizes refuse the object
when it is not listed. Descriptor 0: no checksums here, since every frame has its own.
Source: contrib/seekable_format/zstd_seekable_compression_format.md of zstd.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import Final, NamedTuple

from tasks.model.errors import DamagedError

SKIPPABLE_HEADER = Struct("<II")
SMALLEST_TAIL_BYTES: Final = 17
"""The footer and the entry before it: enough to tell how large table and trailer are."""

_SEEK_TABLE_MAGIC: Final = 0x184D2A5E
_SEEKABLE_MAGIC: Final = 0x8F92EAB1
_ENTRY = Struct("<II")
_FOOTER = Struct("<IBI")


class SeekEntry(NamedTuple):
    """Sizes of one frame, stored and decompressed."""

    stored_bytes: int
    log_bytes: int


def skippable_frame(magic: int, content: bytes) -> bytes:
    """A frame that zstd and lz4 readers pass over. `magic` is one of 184D2A50 to 184D2A5F."""
    return SKIPPABLE_HEADER.pack(magic, len(content)) + content


def encode_seek_table(entries: Sequence[SeekEntry]) -> bytes:
    """The whole table, its frame header included."""
    rows = b"".join(_ENTRY.pack(*entry) for entry in entries)
    return skippable_frame(_SEEK_TABLE_MAGIC, rows + _FOOTER.pack(len(entries), 0, _SEEKABLE_MAGIC))


def seek_table_bytes(tail: bytes) -> int:
    """Size of the table that `tail`, of at least `SMALLEST_TAIL_BYTES`, ends with. `DamagedError` when it is none."""
    count, descriptor, magic = _FOOTER.unpack_from(tail, len(tail) - _FOOTER.size)
    if magic != _SEEKABLE_MAGIC or descriptor != 0 or count == 0:
        raise DamagedError("it does not end with a seek table")
    return SKIPPABLE_HEADER.size + int(count) * _ENTRY.size + _FOOTER.size


def last_entry(tail: bytes) -> SeekEntry:
    """The table's last entry, from a tail of at least `SMALLEST_TAIL_BYTES`."""
    return SeekEntry._make(_ENTRY.unpack_from(tail, len(tail) - SMALLEST_TAIL_BYTES))


def decode_seek_table(table: bytes, object_bytes: int) -> list[SeekEntry]:
    """The entries of a whole table, as long as `seek_table_bytes` says, that ends an object of `object_bytes` bytes.

    Raises `DamagedError` when it is no seek table, or its entries and itself do not add up to the object.
    """
    magic, content_bytes = SKIPPABLE_HEADER.unpack_from(table)
    if magic != _SEEK_TABLE_MAGIC or content_bytes != len(table) - SKIPPABLE_HEADER.size:
        raise DamagedError("its seek table does not begin where it should")
    rows = table[SKIPPABLE_HEADER.size : -_FOOTER.size]
    entries = [SeekEntry._make(row) for row in _ENTRY.iter_unpack(rows)]
    total = sum(entry.stored_bytes for entry in entries) + len(table)
    if total != object_bytes:
        raise DamagedError(f"its seek table speaks of {total} bytes, but it has {object_bytes}")
    return entries
