"""Frames: independent pieces of a data object, each with whole record batches of one partition. Chooses the
compression, and the ends of the names of data objects."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from struct import Struct
from typing import Final, NamedTuple, Protocol

from tasks.model.errors import ConfigError, DamagedError
from tasks.segment.lz4_frames import LZ4_MAGIC, Lz4Frames, decompress_lz4
from tasks.segment.raw_frames import StoredFrames
from tasks.segment.zstd_frames import ZSTD_MAGIC, ZstdFrames, decompress_zstd

_SUFFIXES: Final = {"zstd": ".log.zst", "lz4": ".log.lz4", "none": ".log.zst"}
_MAGIC = Struct("<I")


class FramePlace(NamedTuple):
    """The place of a frame: it begins at byte `position` of the object and has `stored_bytes` bytes there. `log_bytes`
    is its size after decompression."""

    position: int
    stored_bytes: int
    log_bytes: int


class FrameMaker(Protocol):
    """Compresses one frame after the other. Not thread-safe. Other threads run during the compression."""

    def compress(self, parts: Sequence[bytes | memoryview], log_bytes: int, *, precompressed: bool) -> Iterable[bytes]:
        """One independent frame of `parts`, as buffers in order. `parts` must not be empty; `log_bytes` is their total
        size. `precompressed`: their producers compressed most of the batches."""
        ...


def frame_maker(compression: str, level: int) -> FrameMaker:
    """The maker for `zstd`, `lz4` or `none`. `level` is used for zstd only.

    Raises `ConfigError` for another name, and for a level that zstd does not have.
    """
    if compression == "zstd":
        return ZstdFrames(level)
    return Lz4Frames() if object_suffix(compression) == ".log.lz4" else StoredFrames()


def object_suffix(compression: str) -> str:
    """The end of the names of data objects: `.log.zst` (zstd and none) or `.log.lz4`. Raises `ConfigError` for another
    name."""
    if compression not in _SUFFIXES:
        raise ConfigError(f"The compression {compression!r} is unknown. Use one of {', '.join(_SUFFIXES)}.")
    return _SUFFIXES[compression]


def decompress_frame(stored: bytes | memoryview, *, log_bytes: int) -> bytes:
    """The record batches of one stored frame, zstd or lz4 by its magic number. `log_bytes` is their expected size.

    Raises `DamagedError` if `stored` is not exactly one whole frame, has another size or has no right checksum. The
    message does not name the object. Allocates no more than a small multiple of `log_bytes`. Safe to call from several
    threads.
    """
    if len(stored) < _MAGIC.size:
        raise DamagedError("the end of its frame is missing")
    (magic,) = _MAGIC.unpack_from(stored)
    if magic == ZSTD_MAGIC:
        return decompress_zstd(stored, log_bytes)
    if magic == LZ4_MAGIC:
        return decompress_lz4(stored, log_bytes)
    raise DamagedError(f"its frame begins with the bytes {bytes(stored[:4]).hex()}, which is neither zstd nor lz4")
