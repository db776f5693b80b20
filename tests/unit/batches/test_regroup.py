"""Regrouping: which batches are joined, how large a group grows, and that nothing else is touched."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from tasks.batches.header import HEADER_BYTES, check_crc, read_header
from tasks.batches.records import Record, decode_records
from tasks.batches.regroup import TINY_BATCH_BYTES, regroup
from tests.support.batch_factory import DELETE_HORIZON, LOG_APPEND_TIME, make_batch, make_marker, make_records


def _tiny(first: int, count: int = 1, codec: str = "none") -> bytes:
    return make_batch(make_records(count, first=first), base_offset=first, codec=codec)


def _records(batches: Sequence[bytes]) -> list[Record]:
    return [record._replace(offset=0) for batch in batches for record in decode_records(batch)]


def test_tiny_neighbours_become_one_dense_batch_with_the_same_records() -> None:
    batches = [_tiny(first, count=2) for first in range(100, 120, 2)]
    [joined] = regroup(batches, target_bytes=1 << 20, least_batches=2)
    header = read_header(joined, 0)
    assert (header.base_offset, header.record_count, header.last_offset_delta) == (0, 20, 19)
    assert check_crc(joined, 0, header)
    assert _records(batches) == _records([joined])
    assert list(range(20)) == [record.offset for record in decode_records(joined)]


def test_big_batches_pass_untouched_and_part_the_runs() -> None:
    big = make_batch(make_records(1, first=50, size_bytes=TINY_BATCH_BYTES), base_offset=50)
    grouped = list(
        regroup([_tiny(0), _tiny(1), big, _tiny(51), _tiny(52), _tiny(53)], target_bytes=1 << 20, least_batches=2)
    )
    assert [read_header(batch, 0).record_count for batch in grouped] == [2, 1, 3]
    assert big is grouped[1]


def test_a_tiny_batch_alone_passes_unread() -> None:
    unreadable = make_batch([], base_offset=0)[:-4] + b"\0\0\0\1"
    big = make_batch(make_records(1, size_bytes=TINY_BATCH_BYTES), base_offset=0)
    batches = [unreadable, big, _tiny(5, codec="gzip"), _tiny(6, codec="zstd"), _tiny(7)]
    grouped = list(regroup(batches, target_bytes=1 << 20, least_batches=2))
    assert len(batches) == len(grouped)
    assert all(before is after for before, after in zip(batches, grouped, strict=True))


def test_a_run_is_joined_from_sixteen_batches_on_and_a_shorter_one_passes_unread() -> None:
    long, short = [_tiny(first) for first in range(16)], [_tiny(first, codec="gzip") for first in range(16, 31)]
    unreadable = make_batch([], base_offset=31)[:-4] + b"\0\0\0\1"
    joined, *rest = regroup([*long, *short, unreadable], target_bytes=1 << 20)
    assert _records(long) == _records([joined])
    assert [*short, unreadable] == rest


def test_codecs_stay_apart_and_are_kept() -> None:
    codecs = ["gzip", "gzip", "snappy", "snappy", "lz4", "lz4", "zstd", "zstd", "none", "none"]
    batches = [_tiny(i, codec=codec) for i, codec in enumerate(codecs)]
    grouped = list(regroup(batches, target_bytes=1 << 20, least_batches=2))
    assert [read_header(batch, 0).codec for batch in grouped] == ["gzip", "snappy", "lz4", "zstd", "none"]
    assert _records(batches) == _records(grouped)


def test_a_group_is_never_larger_than_the_target() -> None:
    batches = [_tiny(first) for first in range(200)]
    for target in (1, 100, 500, 5_000):
        grouped = list(regroup(batches, target_bytes=target, least_batches=2))
        assert _records(batches) == _records(grouped)
        for batch in grouped:
            assert read_header(batch, 0).record_count == 1 or len(batch) - HEADER_BYTES <= target


def test_the_target_counts_what_compressed_batches_hold() -> None:
    records = make_records(4, size_bytes=100_000)
    batches = [make_batch([record], base_offset=record.offset, codec="zstd") for record in records]
    assert all(len(batch) < TINY_BATCH_BYTES for batch in batches)
    grouped = list(regroup(batches, target_bytes=250_000, least_batches=2))
    assert [read_header(batch, 0).record_count for batch in grouped] == [2, 2]
    assert batches == list(regroup(batches, target_bytes=150_000, least_batches=2))


def test_what_a_group_cannot_hold_is_left_alone() -> None:
    holes = make_batch([Record(0, 0, None, b"v"), Record(2, 0, None, b"v")], base_offset=0)
    append_time = make_batch(make_records(1, first=3), base_offset=3, attributes=LOG_APPEND_TIME)
    emptied = make_batch([], base_offset=4, last_offset=4)
    marker = make_marker(5, 1, commit=True)
    batches = [holes, holes, append_time, append_time, emptied, emptied, marker, marker]
    assert batches == list(regroup(batches, target_bytes=1 << 20, least_batches=2))


def test_delete_horizons_and_distant_times_are_kept_as_times() -> None:
    horizon = make_batch(make_records(1), base_offset=0, attributes=DELETE_HORIZON, base_timestamp=9_000_000_000_000)
    late = make_batch(make_records(1, first=1, timestamp=(1 << 63) - 1), base_offset=1)
    early = make_batch(make_records(1, first=2, timestamp=-1), base_offset=2)
    [joined] = regroup([horizon, late, early], target_bytes=1 << 20, least_batches=2)
    assert _records([horizon, late, early]) == _records([joined])
    assert read_header(joined, 0).max_timestamp == (1 << 63) - 1


def test_groups_are_yielded_while_the_input_is_still_read() -> None:
    offsets = count()
    grouped = regroup((_tiny(offset) for offset in offsets), target_bytes=1_000, least_batches=2)
    assert read_header(next(grouped), 0).record_count > 2
    assert next(offsets) < 100
