"""CRC-32C over a range of a buffer."""

from __future__ import annotations

from google_crc32c import extend

_PIECE_BYTES = 64 << 10
"""google_crc32c accepts only `bytes`, so a range has to be copied. Small copies reuse memory that the allocator has. To
copy a batch of a megabyte at once takes ten times as long, because the kernel has to supply new pages each time."""


def crc32c(data: bytes, start: int, end: int, crc: int = 0) -> int:
    """The CRC-32C of `data[start:end]`. If `crc` is the CRC-32C of other bytes, the result is that of these bytes
    followed by `data[start:end]`."""
    if end - start <= _PIECE_BYTES or end - start == len(data):  # a slice of all bytes is not copied
        whole: int = extend(crc, data[start:end])
        return whole
    for at in range(start, end, _PIECE_BYTES):
        crc = extend(crc, data[at : min(at + _PIECE_BYTES, end)])
    return crc
