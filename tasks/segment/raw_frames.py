"""Zstandard frames whose blocks are all raw (RFC 8878, §3.1.1): the object contains the log's bytes unchanged.

    frame  = magic      28 B5 2F FD
             descriptor A4            4-byte content size, single segment, checksum
             size       uint32        bytes of log
             blocks
             checksum   uint32        low half of the log's XXH64
    block  = uint24     size << 3 | is_last
             the bytes, at most 128 KiB

Numbers are little-endian. Nothing is compressed. Every zstd reader can read these frames.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from struct import Struct
from typing import Final

from tasks.segment.zstd_frames import ZSTD_MAGIC, run_compressor, storing_compressor

_HEADER = Struct("<IBI")
_DESCRIPTOR: Final = 0xA4
_BLOCK_BYTES: Final = 128 << 10
_CHECKSUM_BYTES: Final = 4


class StoredFrames:
    """Makes raw frames. Not thread-safe."""

    def __init__(self) -> None:
        self._storing = storing_compressor()

    def compress(self, parts: Sequence[bytes | memoryview], log_bytes: int, *, precompressed: bool) -> Iterable[bytes]:
        """The frame of `parts`, whose total size is `log_bytes`, in one buffer. `precompressed` makes no difference."""
        header = _HEADER.pack(ZSTD_MAGIC, _DESCRIPTOR, log_bytes)
        return [b"".join((header, *_blocks(parts), self._checksum(parts, log_bytes)))]

    def _checksum(self, parts: Sequence[bytes | memoryview], log_bytes: int) -> bytes:
        """The XXH64 checksum as zstd computes it. It is taken from the end of a zstd frame that is otherwise thrown
        away, which costs 0.1 CPU-seconds per GB."""
        end = b""
        for piece in run_compressor(self._storing, parts, log_bytes):
            end = (end + piece[-_CHECKSUM_BYTES:])[-_CHECKSUM_BYTES:]
        return end


def _blocks(parts: Sequence[bytes | memoryview]) -> Iterator[bytes | memoryview]:
    blocks = [part[at : at + _BLOCK_BYTES] for part in parts for at in range(0, len(part), _BLOCK_BYTES)]
    for number, block in enumerate(blocks, start=1):
        yield (len(block) << 3 | (number == len(blocks))).to_bytes(3, "little")
        yield block
