"""Zstandard frames of record batches, and the levels that exist. Every frame has its content size and an XXH64
checksum. Batches that are compressed already get less effort."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import zstandard

from tasks.model.errors import ConfigError, DamagedError

ZSTD_MAGIC: Final = 0xFD2FB528
LEVELS: Final = range(1, 23)

_LIGHT_LEVEL: Final = 1
_DEFAULT_LEVEL: Final = 3
_FITS_IN_CACHE: Final = {"window_log": 19, "hash_log": 16, "chain_log": 15, "min_match": 6}
_USUAL_FRAME_BYTES: Final = 4 << 20
_PROBE_BYTES: Final = 64 << 10
_WORTHWHILE: Final = 0.95
_HARDLY_LESS: Final = 0.9
_AT_ONCE: Final = threading.BoundedSemaphore(os.cpu_count() or 1)
"""Limits the threads that compress at the same time to the number of cores. More threads would only evict each other's
tables from the caches."""

_SMALLEST_WINDOW_BYTES: Final = 1 << 10


class ZstdFrames:
    """Makes frames with one level, and keeps its compressors between frames. Not thread-safe.

    Raises `ConfigError` for a level outside `LEVELS`.
    """

    def __init__(self, level: int) -> None:
        if level not in LEVELS:
            raise ConfigError(f"The zstd level {level} does not exist; levels are {LEVELS[0]} to {LEVELS[-1]}.")
        self._chosen = _compressor(level)
        self._light = _compressor(_LIGHT_LEVEL)
        self._storing = storing_compressor()

    def compress(self, parts: Sequence[bytes | memoryview], log_bytes: int, *, precompressed: bool) -> Iterable[bytes]:
        """The frame of `parts`, whose total size is `log_bytes`, as buffers in order. If they are `precompressed`, a
        sample decides whether they are compressed with level 1 or stored."""
        compressor = self._for_precompressed(parts) if precompressed else self._chosen
        with _AT_ONCE:
            return list(run_compressor(compressor, parts, log_bytes))

    def _for_precompressed(self, parts: Sequence[bytes | memoryview]) -> zstandard.ZstdCompressor:
        """The compressor for batches that their producers compressed. It compresses a sample with level 1 to decide.

        zstd and gzip batches do not become smaller, so they are stored uncompressed, which takes a tenth of the time of
        level 1. With level 1, lz4 and snappy batches become a fifth smaller, and batches of one record each four
        fifths.
        """
        sample = max(parts, key=len)[:_PROBE_BYTES]
        is_worthwhile = len(self._light.compress(sample)) < len(sample) * _WORTHWHILE
        return self._light if is_worthwhile else self._storing


def storing_compressor() -> zstandard.ZstdCompressor:
    """A compressor that mostly copies: it takes the longest possible steps when it searches for matches, so it finds
    almost none.

    Checksum and copy run at the speed of memory. Negative levels end at -7 and are a third as fast.
    """
    parameters = zstandard.ZstdCompressionParameters(
        strategy=zstandard.STRATEGY_FAST,
        target_length=1 << 17,
        min_match=7,
        window_log=19,
        hash_log=6,
        chain_log=6,
        search_log=1,
        write_content_size=True,
        write_checksum=True,
    )
    return zstandard.ZstdCompressor(compression_params=parameters)


def run_compressor(
    compressor: zstandard.ZstdCompressor, parts: Sequence[bytes | memoryview], log_bytes: int
) -> Iterator[bytes]:
    """One frame of `parts`, as buffers. A single part is compressed by a call that needs no additional buffer and takes
    a tenth less time."""
    if len(parts) == 1:
        # The library allocates memory for the worst case. A copy of the result gives the unused part back.
        packed = compressor.compress(parts[0])
        yield packed if len(packed) > log_bytes * _HARDLY_LESS else bytes(memoryview(packed))
        return
    stream = compressor.compressobj(size=log_bytes)
    for part in parts:
        yield stream.compress(part)
    yield stream.flush()


def decompress_zstd(stored: bytes | memoryview, log_bytes: int) -> bytes:
    """The record batches in exactly one frame, `log_bytes` bytes. Raises `DamagedError` if the frame is cut, damaged or
    followed by other bytes, states another size, or has no checksum.

    Allocates no more than a small multiple of `log_bytes`, also if the frame states a larger size.
    """
    try:
        header = zstandard.get_frame_parameters(stored)
        if header.content_size != log_bytes:
            raise DamagedError(f"its frame holds {header.content_size} bytes of log instead of {log_bytes}")
        if not header.has_checksum:
            raise DamagedError("its frame has no checksum")
        window_bytes = max(2 * log_bytes, _SMALLEST_WINDOW_BYTES)
        decompressor = zstandard.ZstdDecompressor(max_window_size=window_bytes)
        return decompressor.decompress(stored, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise DamagedError(f"its zstd frame cannot be read: {error}") from None


def _compressor(level: int) -> zstandard.ZstdCompressor:
    """The compressor of a level. Level 3, the default, is tuned: its window and tables fit into one megabyte together,
    which a core has as its own second-level cache. That saves a fifth of the time, and more beside a busy neighbour.
    Compared with plain level 3, the sizes change by −2 % (JSON) to +3 % (source code)."""
    if level != _DEFAULT_LEVEL:
        return zstandard.ZstdCompressor(level=level, write_checksum=True, write_content_size=True)
    parameters = zstandard.ZstdCompressionParameters.from_level(
        level, source_size=_USUAL_FRAME_BYTES, write_checksum=True, write_content_size=True, **_FITS_IN_CACHE
    )
    return zstandard.ZstdCompressor(compression_params=parameters)
