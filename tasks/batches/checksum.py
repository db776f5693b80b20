"""CRC-32C over a range of a buffer."""

from __future__ import annotations

from google_crc32c import extend

_PIECE_BYTES = 64 << 10
"""google_crc32c takes only `bytes`, so a range must be copied. Copies this small reuse memory that the allocator holds;
copying a batch of a megabyte in one piece asks the kernel for fresh pages each time and takes ten times as long."""


def crc32c(data: bytes, start: int, end: int, crc: int = 0) -> int:
    """The CRC-32C of `data[start:end]`, or of that appended to the bytes whose CRC-32C is `crc`."""
    if end - start <= _PIECE_BYTES or end - start == len(data):  # a slice of the whole is no copy
        return int(extend(crc, data[start:end]))
    for at in range(start, end, _PIECE_BYTES):
        crc = extend(crc, data[at : min(at + _PIECE_BYTES, end)])
    return int(crc)
