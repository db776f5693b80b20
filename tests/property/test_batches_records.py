"""Records and rewrites against kafka-python's own encoder and decoder, and against themselves where it cannot follow.

kafka-python reads header names as UTF-8 only, does not wrap timestamps, and has no snappy here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from kafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder

from tasks.batches.header import CODECS, check_crc, iter_headers, read_header, stamp
from tasks.batches.records import Record, count_in_range, decode_records, encode_batch
from tasks.batches.regroup import regroup
from tasks.batches.rewrite import needs_rebuild, rebuild
from tests.support.batch_factory import DELETE_HORIZON, LOG_APPEND_TIME, make_batch

CHECKS = settings(deadline=None, derandomize=True, max_examples=80)

_NAMES = st.text(max_size=6).map(str.encode)
_CONTENT = st.none() | st.binary(max_size=200)
_MODEST_TIMES = st.sampled_from([-1, 0, 1_700_000_000_000]) | st.integers(-1, 1 << 50)
_ALL_TIMES = _MODEST_TIMES | st.integers(-(1 << 63), (1 << 63) - 1)
_ORACLE_CODECS = st.sampled_from([0, 1, 3, 4])


def _records(times: st.SearchStrategy[int], names: st.SearchStrategy[bytes], *, least: int, most: int = 12) -> Any:
    """Lists of records in offset order, with holes between the offsets and equal header names among others."""
    headers = st.lists(st.tuples(names | st.just(b"same"), _CONTENT), max_size=4).map(tuple)
    record = st.builds(Record, st.integers(0, 3), times, _CONTENT, _CONTENT, headers)
    return st.lists(record, min_size=least, max_size=most).map(_in_offset_order)


def _in_offset_order(records: list[Record]) -> list[Record]:
    offset, placed = -1, []
    for record in records:
        offset += 1 + record.offset
        placed.append(record._replace(offset=offset))
    return placed


def _renumbered(records: Sequence[Record]) -> list[Record]:
    return [record._replace(offset=i) for i, record in enumerate(records)]


def _oracle_encode(records: Sequence[Record], codec: int) -> bytes:
    builder = DefaultRecordBatchBuilder(2, codec, False, -1, -1, -1, 1 << 20)
    for record in records:
        headers = [(name.decode(), content) for name, content in record.headers]
        builder.append(record.offset, record.timestamp, record.key, record.value, headers)
    return bytes(builder.build())


def _oracle_decode(batch: bytes) -> list[Record]:
    parsed = DefaultRecordBatch(batch)
    assert parsed.validate_crc()
    return [
        Record(r.offset, r.timestamp, r.key, r.value, tuple((name.encode(), content) for name, content in r.headers))
        for r in parsed
    ]


@CHECKS
@given(records=_records(_MODEST_TIMES, _NAMES, least=1), codec=_ORACLE_CODECS)
def test_what_kafka_python_writes_is_read_as_written(records: list[Record], codec: int) -> None:
    batch = _oracle_encode(records, codec)
    header = read_header(batch, 0)
    assert check_crc(batch, 0, header)
    assert max(record.timestamp for record in records) == header.max_timestamp
    assert records == decode_records(batch)


@CHECKS
@given(records=_records(_MODEST_TIMES, _NAMES, least=1), codec=_ORACLE_CODECS, base=st.integers(0, 1 << 40))
def test_kafka_python_reads_what_is_encoded(records: list[Record], codec: int, base: int) -> None:
    batch = encode_batch(records, codec=CODECS[codec], base_offset=base)
    assert [record._replace(offset=base + i) for i, record in enumerate(records)] == _oracle_decode(batch)


@CHECKS
@given(records=_records(_MODEST_TIMES, _NAMES, least=1), codec=_ORACLE_CODECS, horizon=st.none() | _MODEST_TIMES)
def test_the_factory_makes_batches_that_kafka_python_reads(
    records: list[Record], codec: int, horizon: int | None
) -> None:
    bits = 0 if horizon is None else DELETE_HORIZON
    batch = make_batch(records, base_offset=0, codec=CODECS[codec], attributes=bits, base_timestamp=horizon)
    assert records == _oracle_decode(batch)


@CHECKS
@given(records=_records(_ALL_TIMES, st.binary(max_size=6), least=0), codec=st.sampled_from(CODECS), data=st.data())
def test_a_rebuild_keeps_every_record_of_its_range(records: list[Record], codec: str, data: st.DataObject) -> None:
    horizon = data.draw(st.none() | _MODEST_TIMES)
    base_time = horizon if horizon is not None else records[0].timestamp if records else -1
    # The factory writes deltas as they are; only ours wraps those that overflow.
    records = [r for r in records if -(1 << 63) <= r.timestamp - base_time < 1 << 63]
    last = (records[-1].offset if records else 0) + data.draw(st.integers(0, 3))
    batch = make_batch(records, base_offset=0, last_offset=last, codec=codec, base_timestamp=base_time)
    first, end = sorted((data.draw(st.integers(0, last + 2)), data.draw(st.integers(0, last + 2))))

    kept = [record for record in records if first <= record.offset < end]
    assert len(kept) == count_in_range(batch, first, end)
    rebuilt = rebuild(batch, first=first, next=end)
    assert _renumbered(kept) == (decode_records(rebuilt) if rebuilt is not None else [])
    if rebuilt is not None:
        header = read_header(rebuilt, 0)
        assert check_crc(rebuilt, 0, header)
        assert codec == header.codec
        assert not needs_rebuild(header)


@CHECKS
@given(records=_records(_MODEST_TIMES, _NAMES, least=1), codec=_ORACLE_CODECS, append_time=_MODEST_TIMES)
def test_kafka_python_reads_rebuilt_and_stamped_append_times(
    records: list[Record], codec: int, append_time: int
) -> None:
    bits = LOG_APPEND_TIME
    batch = make_batch(records, base_offset=0, codec=CODECS[codec], attributes=bits, max_timestamp=append_time)
    rebuilt = rebuild(batch, first=0, next=1 << 40)
    assert rebuilt is not None
    stamped = stamp(rebuilt, producer_id=5, producer_epoch=1, base_sequence=7)
    assert [record._replace(timestamp=append_time) for record in _renumbered(records)] == _oracle_decode(stamped)


@CHECKS
@given(
    groups=st.lists(
        # Few records for each batch: to draw them costs more than to regroup them.
        st.tuples(
            _records(_ALL_TIMES, st.binary(max_size=6), least=1, most=3), st.sampled_from(["none", "gzip", "snappy"])
        ),
        max_size=12,
    ),
    target_bytes=st.integers(1, 4_000),
)
def test_regrouping_keeps_every_record_in_order(groups: list[tuple[list[Record], str]], target_bytes: int) -> None:
    batches = [encode_batch(records, codec=codec) for records, codec in groups]
    joined = list(regroup(batches, target_bytes=target_bytes, least_batches=2))

    assert joined == list(regroup(iter(batches), target_bytes=target_bytes, least_batches=2))
    expected = [record._replace(offset=0) for records, _ in groups for record in records]
    assert expected == [record._replace(offset=0) for batch in joined for record in decode_records(batch)]
    for batch in joined:
        header = read_header(batch, 0)
        assert check_crc(batch, 0, header)
        assert header.is_dense
    assert len(joined) <= len(batches)


@CHECKS
@given(sizes=st.lists(st.integers(0, 300), max_size=8), cut=st.integers(0, 3_000))
def test_a_walk_over_a_cut_log_yields_exactly_the_whole_batches(sizes: list[int], cut: int) -> None:
    batches = [
        encode_batch([Record(0, 1, None, bytes(size))], codec="none", base_offset=i) for i, size in enumerate(sizes)
    ]
    data = b"".join(batches)[:cut]
    walked = [data[at : at + header.size_bytes] for at, header in iter_headers(data)]
    whole, end = [], 0
    for batch in batches:
        end += len(batch)
        whole += [batch] if end <= cut else []
    assert whole == walked
