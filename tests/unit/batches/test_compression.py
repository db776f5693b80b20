"""Codecs: what other writers produce is read, what is cut or unknown is refused."""

from __future__ import annotations

import gzip
import random
import struct
from concurrent.futures import ThreadPoolExecutor

import cramjam
import lz4.frame
import pytest
import zstandard

from tasks.batches.compression import compress, decompress
from tasks.model.errors import UnsupportedBatchError

PAYLOADS = (b"", b"x", b"abc" * 40_000, random.Random(1).randbytes(100_000), bytes(3_000_000))
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")


@pytest.mark.parametrize("codec", CODECS)
def test_what_is_compressed_comes_back_and_is_the_same_every_time(codec: str) -> None:
    for payload in PAYLOADS:
        compressed = compress(codec, payload)
        assert payload == decompress(codec, compressed)
        assert compressed == compress(codec, payload)


def test_snappy_is_read_raw_and_in_blocks_of_any_size() -> None:
    payload = b"hello kafka " * 9_000
    raw = bytes(cramjam.snappy.compress_raw(payload))
    assert payload == decompress("snappy", raw)

    stream = b"\x82SNAPPY\x00" + struct.pack(">ii", 1, 1)
    for at in range(0, len(payload), 50_000):
        block = bytes(cramjam.snappy.compress_raw(payload[at : at + 50_000]))
        stream += struct.pack(">i", len(block)) + block
    assert payload == decompress("snappy", stream)


def test_snappy_is_written_as_java_writes_it() -> None:
    stream = compress("snappy", bytes(70_000))
    assert stream[:16] == b"\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01"
    sizes = []
    at = 16
    while at < len(stream):
        (length,) = struct.unpack_from(">i", stream, at)
        sizes.append(len(bytes(cramjam.snappy.decompress_raw(stream[at + 4 : at + 4 + length]))))
        at += 4 + length
    assert sizes == [32_768, 32_768, 4_464]


def test_zstd_is_read_without_content_size_and_over_several_frames() -> None:
    payload = b"hello kafka " * 9_000
    without_size = zstandard.ZstdCompressor(write_content_size=False).compress(payload)
    streamed = zstandard.ZstdCompressor().compressobj()
    flushed = streamed.compress(payload) + streamed.flush()
    assert zstandard.frame_content_size(flushed) == -1
    assert payload * 3 == decompress("zstd", without_size + flushed + compress("zstd", payload))


def test_lz4_is_written_so_that_java_reads_it() -> None:
    info = lz4.frame.get_frame_info(compress("lz4", b"hello kafka " * 9_000))
    assert not info["block_linked"]
    assert info["content_size"] == 0
    assert info["block_size"] == 64 << 10


def test_lz4_is_read_with_linked_blocks_and_with_checksums() -> None:
    payload = b"hello kafka " * 90_000
    linked = lz4.frame.compress(payload, block_linked=True, content_checksum=True, block_checksum=True)
    assert payload == decompress("lz4", linked)


def test_gzip_is_read_over_several_members() -> None:
    assert decompress("gzip", gzip.compress(b"one") + gzip.compress(b"two")) == b"onetwo"


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_cut_and_foreign_bytes_are_refused(codec: str) -> None:
    whole = compress(codec, random.Random(1).randbytes(1_000) + bytes(70_000))
    for broken in (whole[:-1], whole[: len(whole) // 2], whole[:18], b"these are no compressed bytes"):
        with pytest.raises(UnsupportedBatchError, match=f"{codec} data cannot be decompressed"):
            decompress(codec, broken)
        assert decompress(codec, compress(codec, b"the next one is read")) == b"the next one is read"


@pytest.mark.parametrize("codec", CODECS)
def test_threads_do_not_disturb_each_other(codec: str) -> None:
    payloads = [random.Random(i).randbytes(50_000) + bytes(500_000) for i in range(16)]
    compressed = [compress(codec, payload) for payload in payloads]
    with ThreadPoolExecutor(4) as pool:
        assert payloads == list(pool.map(lambda one: decompress(codec, one), compressed))


def test_an_unknown_codec_is_refused_both_ways() -> None:
    for turn in (compress, decompress):
        with pytest.raises(UnsupportedBatchError, match="'brotli' is unknown"):
            turn("brotli", b"")
