"""The four codecs of record payloads, as Kafka's own clients write and read them, with Kafka's default levels.

Equal input gives equal output, as long as the versions of the libraries are the same.
"""

from __future__ import annotations

import gzip
import threading
import zlib
from collections.abc import Callable, Iterator
from struct import Struct
from struct import error as StructError
from typing import Final

import cramjam
import lz4.frame
import zstandard

from tasks.model.errors import UnsupportedBatchError

_XERIAL_MAGIC: Final = b"\x82SNAPPY\x00"
_XERIAL_HEADER: Final = _XERIAL_MAGIC + b"\x00\x00\x00\x01\x00\x00\x00\x01"
"""The header of snappy-java's stream (version 1, compatible with version 1). It is followed by blocks: an int32 length
and raw snappy."""
_XERIAL_BLOCK_BYTES: Final = 32 << 10
_BLOCK_LENGTH = Struct(">I")

_GZIP_LEVEL: Final = 6
_ZSTD_LEVEL: Final = 3


class _PerThread(threading.local):
    """The zstd decompressor of each thread, because threads cannot share one. To make one takes twenty times as long as
    to read a tiny batch with it."""

    def __init__(self) -> None:
        self.zstd = zstandard.ZstdDecompressor()


_per_thread = _PerThread()

_FOREIGN_ERRORS = (
    gzip.BadGzipFile,
    EOFError,
    zlib.error,
    RuntimeError,
    StructError,
    zstandard.ZstdError,
    cramjam.DecompressionError,
)
"""The errors that the libraries raise for bytes that they cannot read. lz4 raises RuntimeError."""


def decompress(codec: str, payload: bytes) -> bytes:
    """The record bytes in the payload of a batch. For `none` they are the payload itself.

    Raises `UnsupportedBatchError` for an unknown codec, and for a payload that the codec cannot decompress.
    """
    if codec == "none":
        return payload
    decoder = _known(codec, _DECODERS)
    try:
        return decoder(payload)
    except _FOREIGN_ERRORS as error:
        raise UnsupportedBatchError(f"The batch's {codec} data cannot be decompressed: {error}") from None


def compress(codec: str, payload: bytes) -> bytes:
    """The payload of a batch for these record bytes. For `none` these bytes are the payload. Raises
    `UnsupportedBatchError` for an unknown codec."""
    if codec == "none":
        return payload
    return _known(codec, _ENCODERS)(payload)


def _known(codec: str, table: dict[str, Callable[[bytes], bytes]]) -> Callable[[bytes], bytes]:
    if codec not in table:
        raise UnsupportedBatchError(f"The codec {codec!r} is unknown. Known codecs: none, {', '.join(table)}.")
    return table[codec]


def _gzip_compress(payload: bytes) -> bytes:
    return gzip.compress(payload, compresslevel=_GZIP_LEVEL, mtime=0)


def _snappy_compress(payload: bytes) -> bytes:
    parts = [_XERIAL_HEADER]
    for at in range(0, len(payload), _XERIAL_BLOCK_BYTES):
        block = bytes(cramjam.snappy.compress_raw(payload[at : at + _XERIAL_BLOCK_BYTES]))
        parts += (_BLOCK_LENGTH.pack(len(block)), block)
    return b"".join(parts)


def _snappy_decompress(payload: bytes) -> bytes:
    """Java clients write snappy-java's stream, librdkafka writes one raw block. The first bytes show which one it
    is."""
    if not payload.startswith(_XERIAL_MAGIC):
        return bytes(cramjam.snappy.decompress_raw(payload))
    return b"".join(bytes(cramjam.snappy.decompress_raw(block)) for block in _xerial_blocks(payload))


def _xerial_blocks(payload: bytes) -> Iterator[bytes]:
    position = len(_XERIAL_HEADER)
    while position < len(payload):
        (length,) = _BLOCK_LENGTH.unpack_from(payload, position)
        position += _BLOCK_LENGTH.size
        yield payload[position : position + length]
        position += length


def _lz4_compress(payload: bytes) -> bytes:
    """The blocks do not depend on each other, because Java's reader refuses blocks that do."""
    compressed: bytes = lz4.frame.compress(
        payload, block_size=lz4.frame.BLOCKSIZE_MAX64KB, block_linked=False, store_size=False
    )
    return compressed


def _lz4_decompress(payload: bytes) -> bytes:
    decompressed: bytes = lz4.frame.decompress(payload)
    return decompressed


def _zstd_compress(payload: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compress(payload)


def _zstd_decompress(payload: bytes) -> bytes:
    """Reads frame by frame, because Java's frames have no content size, and the library's one-shot call ignores the
    bytes after the first frame."""
    parts = []
    rest = payload
    while rest:
        frame = _per_thread.zstd.decompressobj()
        parts.append(frame.decompress(rest))
        if not frame.eof:
            raise EOFError("the end of a frame is missing")
        rest = frame.unused_data
    return b"".join(parts)


_DECODERS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "gzip": gzip.decompress,
    "snappy": _snappy_decompress,
    "lz4": _lz4_decompress,
    "zstd": _zstd_decompress,
}

_ENCODERS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "gzip": _gzip_compress,
    "snappy": _snappy_compress,
    "lz4": _lz4_compress,
    "zstd": _zstd_compress,
}
