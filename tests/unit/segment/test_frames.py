"""Frames: any log comes back, nothing else does."""

from __future__ import annotations

import random
import struct
from concurrent.futures import ThreadPoolExecutor

import lz4.frame
import pytest
import zstandard

from tasks.model.errors import ConfigError, DamagedError
from tasks.segment.frames import decompress_frame, frame_maker, object_suffix
from tests.unit.segment.objects import COMPRESSIONS, batches

LOG = batches(0, 40)
NOISE = random.Random(3).randbytes(700_000)


def _frame(compression: str, log: bytes, *, level: int = 3, precompressed: bool = False, parts: int = 2) -> bytes:
    step = -(-len(log) // parts)
    slices = [memoryview(log)[at : at + step] for at in range(0, len(log), step)]
    return b"".join(frame_maker(compression, level).compress(slices, len(log), precompressed=precompressed))


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("precompressed", [False, True])
@pytest.mark.parametrize("parts", [1, 2, 7])
@pytest.mark.parametrize("log", [b"x", LOG, NOISE, bytes(400_000)], ids=["one byte", "batches", "noise", "zeros"])
def test_a_frame_gives_its_log_back(compression: str, precompressed: bool, parts: int, log: bytes) -> None:
    stored = _frame(compression, log, precompressed=precompressed, parts=parts)
    assert log == decompress_frame(stored, log_bytes=len(log))


@pytest.mark.parametrize("level", [1, 3, 19, 22])
def test_every_zstd_level_makes_frames_that_our_reader_takes(level: int) -> None:
    assert decompress_frame(_frame("zstd", LOG, level=level), log_bytes=len(LOG)) == LOG


def test_the_default_level_looks_back_no_further_than_a_cache_reaches_and_packs_as_well_as_plain_level_3() -> None:
    rows = random.Random(5)
    log = b"".join(b'{"order":%d,"city":"Lisbon","price":%d}' % (n, rows.randrange(9999)) for n in range(90_000))
    stored = _frame("zstd", log, parts=1)
    assert 512 << 10 == zstandard.get_frame_parameters(stored).window_size
    assert len(stored) < 1.05 * len(zstandard.ZstdCompressor(level=3).compress(log))


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("precompressed", [False, True])
def test_noise_grows_by_less_than_a_thousandth(compression: str, precompressed: bool) -> None:
    assert len(_frame(compression, NOISE, precompressed=precompressed)) < len(NOISE) * 1.001


@pytest.mark.parametrize("parts", [1, 5])
def test_none_stores_the_log_as_it_is_in_raw_blocks(parts: int) -> None:
    log = bytes(400_000) + LOG  # zeros too: nothing is compressed, not even runs
    stored = _frame("none", log, parts=parts)
    assert stored[:9] == b"\x28\xb5\x2f\xfd\xa4" + struct.pack("<I", len(log))
    position, blocks, is_last = 9, [], False
    while not is_last:
        head = int.from_bytes(stored[position : position + 3], "little")
        is_last, kind, size = bool(head & 1), head >> 1 & 3, head >> 3
        assert kind == 0
        assert size <= 128 << 10
        blocks.append(stored[position + 3 : position + 3 + size])
        position += 3 + size
    assert log == b"".join(blocks)
    assert len(stored) == position + 4


def test_batches_that_cannot_shrink_are_stored_and_those_that_can_are_not() -> None:
    single_records = batches(0, 2000, records=1, codec="zstd")
    assert len(_frame("zstd", single_records, precompressed=True)) < len(single_records) / 2
    hardly_shrinking = NOISE + LOG * 3
    assert len(_frame("zstd", hardly_shrinking, level=1)) < len(hardly_shrinking) * 0.99
    assert len(_frame("zstd", hardly_shrinking, precompressed=True)) > len(hardly_shrinking) * 0.99


def test_one_maker_makes_many_independent_frames() -> None:
    for compression in COMPRESSIONS:
        maker = frame_maker(compression, 3)
        for log in (LOG, NOISE, LOG):
            stored = b"".join(maker.compress([log], len(log), precompressed=log is NOISE))
            assert log == decompress_frame(stored, log_bytes=len(log))


def test_frames_are_read_by_several_threads_at_once() -> None:
    stored = [(_frame(compression, LOG), LOG) for compression in COMPRESSIONS] * 20
    with ThreadPoolExecutor(8) as pool:
        logs = list(pool.map(lambda pair: decompress_frame(pair[0], log_bytes=len(pair[1])), stored))
    assert [LOG] * len(stored) == logs


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_cut_a_longer_and_a_doubled_frame_are_damage(compression: str) -> None:
    stored = _frame(compression, LOG)
    for damaged in (b"", stored[:3], stored[:5], stored[:-1], stored[1:], stored + b"\0", stored + stored):
        with pytest.raises(DamagedError):
            decompress_frame(damaged, log_bytes=len(LOG))


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("error", [-1, 1])
def test_a_frame_of_another_size_than_expected_is_damage(compression: str, error: int) -> None:
    with pytest.raises(DamagedError, match="instead of"):
        decompress_frame(_frame(compression, LOG), log_bytes=len(LOG) + error)


def test_a_frame_that_claims_a_huge_size_or_window_is_refused_before_anything_is_allocated() -> None:
    huge_size = b"\x28\xb5\x2f\xfd\xe4" + struct.pack("<Q", 1 << 60) + b"\x01\x00\x00" + bytes(4)
    with pytest.raises(DamagedError, match="instead of 1"):
        decompress_frame(huge_size, log_bytes=1)
    window_of_64_mib = b"\x28\xb5\x2f\xfd\x84\x80" + struct.pack("<I", 2) + b"\x08\x00\x00x" + bytes(4)
    with pytest.raises(DamagedError, match="too much memory"):
        decompress_frame(window_of_64_mib, log_bytes=2)


@pytest.mark.parametrize(
    "stored",
    [
        zstandard.ZstdCompressor(write_checksum=False).compress(LOG),
        lz4.frame.compress(LOG, content_checksum=False, store_size=True),
    ],
    ids=["zstd", "lz4"],
)
def test_a_frame_without_a_checksum_is_not_ours(stored: bytes) -> None:
    with pytest.raises(DamagedError, match="no checksum"):
        decompress_frame(stored, log_bytes=len(LOG))


def test_a_skippable_frame_in_place_of_a_frame_is_damage() -> None:
    with pytest.raises(DamagedError, match="neither zstd nor lz4"):
        decompress_frame(struct.pack("<II", 0x184D2A50, 4) + b"data", log_bytes=4)


def test_names_end_by_the_program_that_opens_them() -> None:
    assert [object_suffix(name) for name in COMPRESSIONS] == [".log.zst", ".log.lz4", ".log.zst"]


def test_an_unknown_compression_and_an_unknown_level_are_named() -> None:
    with pytest.raises(ConfigError, match=r"'gzip' is unknown\. Use one of zstd, lz4, none"):
        object_suffix("gzip")
    with pytest.raises(ConfigError, match="'gzip'"):
        frame_maker("gzip", 3)
    with pytest.raises(ConfigError, match="levels are 1 to 22"):
        frame_maker("zstd", 23)
