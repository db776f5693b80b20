"""Windows and selections of a real Kafka's logs, read back by an independent consumer: transactional, LogAppendTime and
compacted topics, with times out of order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tasks.batches.header import read_header
from tasks.engine.options import BackupOptions
from tests.support import producing
from tests.support.kafka import KafkaCluster
from tests.support.producing import OutRecord, Transaction
from tests.support.reading import SeenRecord, read_all
from tests.support.round_trip import Backups, now_ms

pytestmark = pytest.mark.kafka

MINUTE_MS = 60_000


class _Topics(NamedTuple):
    plain: str
    transactional: str
    append_time: str
    compacted: str
    start_ms: int


def _numbered(start_ms: int, minutes: Iterator[int]) -> list[OutRecord]:
    return [
        OutRecord(
            b"key-%d" % (minute % 7), b"%d" % minute, (("tenant", b"%d" % (minute % 3)),), start_ms + minute * MINUTE_MS
        )
        for minute in minutes
    ]


@pytest.fixture
def topics(kafka: KafkaCluster, topic_name: str) -> _Topics:
    """Each has a record for each of 60 minutes, not in their order, of two producers."""
    made = _Topics(
        plain=f"{topic_name}-plain",
        transactional=f"{topic_name}-tx",
        append_time=f"{topic_name}-lat",
        compacted=f"{topic_name}-compact",
        start_ms=now_ms() - 3_600_000,
    )
    mixed = [(minute * 17) % 60 for minute in range(60)]
    records = _numbered(made.start_ms, iter(mixed))
    producing.create_topic(kafka.bootstrap, made.plain)
    producing.produce(kafka.bootstrap, made.plain, records[:30], compression="lz4")
    producing.produce(kafka.bootstrap, made.plain, records[30:], compression="zstd")
    producing.create_topic(kafka.bootstrap, made.transactional)
    parts = [Transaction(records[at : at + 10], is_committed=at != 20) for at in range(0, 60, 10)]
    producing.produce_transactions(kafka.bootstrap, made.transactional, parts)
    producing.create_topic(kafka.bootstrap, made.append_time, configs={"message.timestamp.type": "LogAppendTime"})
    for record in records[:6]:
        producing.produce(kafka.bootstrap, made.append_time, [record, record])
    producing.create_topic(kafka.bootstrap, made.compacted, configs=producing.COMPACTED)
    producing.produce(kafka.bootstrap, made.compacted, records)
    return made


def _contents(records: list[SeenRecord]) -> list[tuple[int, bytes | None, bytes | None]]:
    return [(record.timestamp, record.key, record.value) for record in records]


@pytest.mark.parametrize("index_timestamps", [False, True])
def test_a_window_restores_exactly_the_records_in_it_of_every_kind_of_topic(
    kafka: KafkaCluster, topics: _Topics, index_timestamps: bool
) -> None:
    backups = Backups(bootstrap_servers=kafka.bootstrap_servers)
    names = (topics.plain, topics.transactional, topics.append_time, topics.compacted)
    backups.back_up(names, options=BackupOptions(index_timestamps=index_timestamps))
    before = {name: read_all(kafka.bootstrap, name) for name in names}
    start, end = topics.start_ms + 10 * MINUTE_MS, topics.start_ms + 29 * MINUTE_MS
    append_times = sorted({record.timestamp for record in before[topics.append_time]})

    result = backups.restore(
        {name: f"{name}-copy" for name in names[:2]} | {names[3]: f"{names[3]}-copy"},
        time_window_start=start,
        time_window_end=end,
    )
    later = backups.restore({topics.append_time: f"{topics.append_time}-copy"}, time_window_start=append_times[2])

    assert ([], []) == (list(result.mismatches), list(later.mismatches))
    for name in names:
        bounds = (append_times[2], now_ms()) if name == topics.append_time else (start, end)
        expected = [record for record in before[name] if bounds[0] <= record.timestamp <= bounds[1]]
        assert 0 < len(expected) < len(before[name])
        assert _contents(expected) == _contents(read_all(kafka.bootstrap, f"{name}-copy")), name


def test_everything_except_what_a_producer_wrote_in_a_window_is_restored(kafka: KafkaCluster, topics: _Topics) -> None:
    backups = Backups(bootstrap_servers=kafka.bootstrap_servers)
    point = backups.back_up([topics.plain])
    headers = [read_header(batch, 0) for batch in backups.stored_batches(point, topics.plain)]
    writer = headers[-1].producer_id
    written = {at for one in headers if one.producer_id == writer for at in range(one.base_offset, one.next_offset)}
    end = topics.start_ms + 29 * MINUTE_MS
    everything = read_all(kafka.bootstrap, topics.plain)
    expected = [one for one in everything if not (one.offset in written and one.timestamp <= end)]

    result = backups.restore(
        {topics.plain: f"{topics.plain}-copy"},
        exclude=[{"name": "bad deploy", "producer_id": writer, "time_window_end": end}],
    )
    selected = backups.restore(
        {topics.plain: f"{topics.plain}-few"},
        select=[{"key": ["key-1", "key-2"], "header": {"name": "tenant", "value": "0"}}],
    )

    assert _contents(expected) == _contents(read_all(kafka.bootstrap, f"{topics.plain}-copy"))
    [copy] = result.plan.partitions
    assert copy.selection is not None
    assert {"bad deploy": len(everything) - len(expected)} == copy.selection.left_out
    few = [one for one in everything if one.key in (b"key-1", b"key-2") and one.headers == (("tenant", b"0"),)]
    assert _contents(few) == _contents(read_all(kafka.bootstrap, f"{topics.plain}-few"))
    assert [] == [*result.mismatches, *selected.mismatches]
