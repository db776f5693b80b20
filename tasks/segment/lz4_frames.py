"""LZ4 frames of record batches. Every frame has independent blocks of 256 KiB, its content size and an XXH32
checksum."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import lz4.frame

from tasks.model.errors import DamagedError

LZ4_MAGIC: Final = 0x184D2204


class Lz4Frames:
    """Makes frames in LZ4's fast mode. Not thread-safe.

    There is no level, because the high-compression mode takes four times as long as zstd level 3, and its frames are
    still 40 % larger.
    """

    def __init__(self) -> None:
        self._compressor = lz4.frame.LZ4FrameCompressor(
            block_size=lz4.frame.BLOCKSIZE_MAX256KB, block_linked=False, content_checksum=True
        )

    def compress(self, parts: Sequence[bytes | memoryview], log_bytes: int, *, precompressed: bool) -> Iterator[bytes]:
        """The frame of `parts`, whose total size is `log_bytes`, as buffers in order. `precompressed` makes no
        difference, because LZ4 never compresses a block that does not become smaller."""
        yield self._compressor.begin(source_size=log_bytes)
        for part in parts:
            yield self._compressor.compress(part)
        yield self._compressor.flush()


def decompress_lz4(stored: bytes | memoryview, log_bytes: int) -> bytes:
    """The record batches in exactly one frame, `log_bytes` bytes. Raises `DamagedError` if the frame is cut, damaged or
    followed by other bytes, states another size, or has no checksum.

    Allocates no more than a small multiple of `log_bytes`, also if the frame states a larger size.
    """
    try:
        header = lz4.frame.get_frame_info(stored)
        if header["content_size"] != log_bytes:
            raise DamagedError(f"its frame holds {header['content_size']} bytes of log instead of {log_bytes}")
        if not header["content_checksum"]:
            raise DamagedError("its frame has no checksum")
        decompressor = lz4.frame.LZ4FrameDecompressor()
        log: bytes = decompressor.decompress(stored, max_length=log_bytes)
    except RuntimeError as error:
        raise DamagedError(f"its lz4 frame cannot be read: {error}") from None
    if not decompressor.eof or len(log) != log_bytes:
        raise DamagedError("its lz4 frame does not end where it should")
    if decompressor.unused_data:
        raise DamagedError(f"{len(decompressor.unused_data)} bytes follow its lz4 frame")
    return log
