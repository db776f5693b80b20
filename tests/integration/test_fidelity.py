"""Fidelity: what librdkafka reads from the target of a restore is what it reads from the source, record by record.

One backup and one restore serve all tests of the module.
"""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass
from functools import cache

import pytest

from tasks.batches.header import read_header
from tasks.batches.records import Record, decode_records
from tasks.engine.options import BackupOptions
from tasks.engine.positions.rank import rank
from tasks.engine.restore import RestoreResult
from tasks.repository.entries import PointEntry
from tasks.repository.frame_reader import FrameReader
from tests.support import producing, reading
from tests.support.batch_factory import make_batch
from tests.support.kafka import KafkaCluster
from tests.support.producing import CODECS, COMPACTED, OutRecord, Transaction
from tests.support.round_trip import Backups, Content, contents

pytestmark = pytest.mark.kafka

LONGEST_MS = (1 << 63) - 1
FAR_FUTURE_MS = 253_402_300_799_999  # the last millisecond of the year 9999
DAY_MS = 86_400_000
PARTITIONS = {
    "shapes": 3,
    "raw": 1,
    "codecs": 1,
    "appended": 1,
    "large": 2,
    "compacted": 1,
    "trimmed": 2,
    "empty": 5,
    "transactions": 1,
    "open": 1,
}


@dataclass(frozen=True)
class Copied:
    """Ten hard topics, the point that holds them, and their restored copies."""

    kafka: KafkaCluster
    backups: Backups
    stem: str
    point: PointEntry
    result: RestoreResult

    def source(self, topic: str) -> str:
        return f"{self.stem}-{topic}"

    def target(self, topic: str) -> str:
        return f"{self.stem}-{topic}-restored"

    def both(self, topic: str, partition: int = 0) -> tuple[list[Content], list[Content]]:
        """(source, target) as librdkafka reads them."""
        bootstrap = self.kafka.bootstrap
        return _read(bootstrap, self.source(topic), partition), _read(bootstrap, self.target(topic), partition)


@cache
def _read(bootstrap: str, topic: str, partition: int) -> list[Content]:
    """Each partition is read once for all tests: nothing writes to it any more."""
    return contents(bootstrap, topic, partition)


@pytest.fixture(scope="module")
def copied(kafka: KafkaCluster) -> Copied:
    stem = f"fidelity-{uuid.uuid4().hex[:8]}"
    backups = Backups(bootstrap_servers=kafka.bootstrap_servers)
    _fill(kafka, backups, stem)
    hanging = [OutRecord(b"open", b"%d" % number) for number in range(5)]
    with producing.open_transaction(kafka.bootstrap, f"{stem}-open", hanging):
        producing.produce(kafka.bootstrap, f"{stem}-open", [OutRecord(b"after", b"the open transaction")])
        point = backups.back_up([f"{stem}-*"], options=BackupOptions(segment_max_bytes=8 << 20))
        result = backups.restore({f"{stem}-{topic}": f"{stem}-{topic}-restored" for topic in PARTITIONS})
    return Copied(kafka, backups, stem, point, result)


def _fill(kafka: KafkaCluster, backups: Backups, stem: str) -> None:
    for topic, partitions in PARTITIONS.items():
        producing.create_topic(
            kafka.bootstrap, f"{stem}-{topic}", partitions=partitions, configs=_configs().get(topic, {})
        )
    _fill_shapes(kafka.bootstrap, f"{stem}-shapes")
    backups.produce_batches(f"{stem}-raw", [make_batch(_raw_records(), base_offset=0)])
    _fill_codecs(kafka.bootstrap, f"{stem}-codecs")
    producing.produce(kafka.bootstrap, f"{stem}-appended", _numbered(20), compression="lz4", records_per_batch=5)
    _fill_large(kafka.bootstrap, f"{stem}-large")
    _fill_compacted(kafka, f"{stem}-compacted")
    _fill_trimmed(kafka.bootstrap, f"{stem}-trimmed")
    producing.produce(kafka.bootstrap, f"{stem}-empty", _numbered(3), partition=2)
    _fill_transactions(kafka.bootstrap, f"{stem}-transactions")
    producing.produce(kafka.bootstrap, f"{stem}-open", _numbered(7))


def _configs() -> dict[str, dict[str, str]]:
    any_time = {"message.timestamp.after.max.ms": str(LONGEST_MS), "message.timestamp.before.max.ms": str(LONGEST_MS)}
    return {
        "shapes": any_time,
        "raw": any_time,
        "appended": {"message.timestamp.type": "LogAppendTime"},
        "large": {"max.message.bytes": str(11 << 20)},
        "compacted": COMPACTED,
    }


def _numbered(count: int, first: int = 0) -> list[OutRecord]:
    return [
        OutRecord(b"key-%d" % number, b"value %d" % number, timestamp=1_700_000_000_000 + number)
        for number in range(first, first + count)
    ]


def _fill_shapes(bootstrap: str, topic: str) -> None:
    shapes = [
        OutRecord(None, b"null key"),
        OutRecord(b"tombstone", None),
        OutRecord(b"", b""),
        OutRecord(None, None),
        OutRecord(b"h", b"v", [("same", b"1"), ("other", b""), ("same", b"2"), ("same", b"1")]),
        OutRecord(b"h", b"v", [("null", None), ("empty", b""), ("", b"no name")]),
        OutRecord(b"far", b"future", timestamp=FAR_FUTURE_MS),
        OutRecord(b"old", b"1970", timestamp=1),
    ]
    producing.produce(bootstrap, topic, shapes, records_per_batch=len(shapes))
    producing.produce(bootstrap, topic, _numbered(11), partition=2, compression="zstd")


def _raw_records() -> list[Record]:
    """What librdkafka cannot send, nor show: header keys that are no text, and odd times, in one batch."""
    times = (0, -1, 1_700_000_000_000, 1_700_000_000_000 + 40 * DAY_MS, FAR_FUTURE_MS, 5)
    headers = ((b"\xff\xfe", b"1"), (b"\x00", None), (b"\xff\xfe", b""), (b"", b"\x80"))
    return [Record(offset, time, b"%d" % offset, b"v", headers) for offset, time in enumerate(times)]


def _fill_codecs(bootstrap: str, topic: str) -> None:
    for number, codec in enumerate(("none", *CODECS)):
        producing.produce(bootstrap, topic, _numbered(50, number * 50), compression=codec, records_per_batch=25)


def _fill_large(bootstrap: str, topic: str) -> None:
    producing.produce(bootstrap, topic, [OutRecord(b"10 MB", os.urandom(10_000_000)), *_numbered(2)])
    producing.produce(bootstrap, topic, [OutRecord(b"%d" % n, os.urandom(5_000)) for n in range(1_000)], partition=1)


def _fill_compacted(kafka: KafkaCluster, topic: str) -> None:
    """Four batches by four producers: one loses all its records, the others their head, middle or tail."""

    def batch(*keys: int) -> None:
        records = [OutRecord(b"%d" % key, uuid.uuid4().bytes) for key in keys]
        producing.produce(kafka.bootstrap, topic, records, records_per_batch=len(records), compression="zstd")

    batch(*range(10, 20))  # emptied: all keys come again
    batch(10, 11, 12, 100, 101)  # loses its head
    batch(200, 13, 14, 201)  # its middle
    batch(300, 301, 15, 16)  # its tail
    batch(*range(10, 20))
    producing.produce(kafka.bootstrap, topic, [OutRecord(b"gone", None)])
    producing.await_cleaner(kafka.log_dir(), topic, producing.roll_segment(kafka.bootstrap, topic))


def _fill_trimmed(bootstrap: str, topic: str) -> None:
    for partition, start in ((0, 25), (1, 50)):
        producing.produce(bootstrap, topic, _numbered(50), partition=partition, records_per_batch=10)
        producing.delete_records(bootstrap, topic, start, partition=partition)  # 25: in the middle of a batch


def _fill_transactions(bootstrap: str, topic: str) -> None:
    def transaction(first: int, *, is_committed: bool) -> Transaction:
        return Transaction(_numbered(10, first), is_committed)

    producing.produce_transactions(
        bootstrap, topic, [transaction(0, is_committed=False), transaction(10, is_committed=True)], compression="gzip"
    )
    producing.produce(bootstrap, topic, _numbered(5, 20))
    with producing.open_transaction(bootstrap, topic, _numbered(10, 30)):
        producing.produce_transactions(bootstrap, topic, [transaction(50, is_committed=True)])
    with producing.open_transaction(bootstrap, topic, _numbered(10, 70), is_committed=True):
        producing.produce_transactions(bootstrap, topic, [transaction(90, is_committed=False)])


@pytest.mark.tried("record size", "10 MB")
@pytest.mark.parametrize("topic", [topic for topic in PARTITIONS if topic not in ("raw", "appended", "open")])
def test_every_record_comes_back_with_key_value_headers_timestamp_and_in_order(copied: Copied, topic: str) -> None:
    assert (copied.result.mismatches, copied.point.status) == ([], "complete")
    for partition in range(PARTITIONS[topic]):
        source, target = copied.both(topic, partition)
        assert source == target


def test_null_empty_and_repeated_headers_stay_what_they_are(copied: Copied) -> None:
    _, restored = copied.both("shapes")

    assert [(None, b"null key"), (b"tombstone", None), (b"", b""), (None, None)] == [one[1:3] for one in restored[:4]]
    assert (("same", b"1"), ("other", b""), ("same", b"2"), ("same", b"1")) == restored[4][3]
    assert (("null", None), ("empty", b""), ("", b"no name")) == restored[5][3]
    assert [FAR_FUTURE_MS, 1] == [one[0] for one in restored[6:]]


def test_header_keys_that_are_no_text_and_times_of_zero_minus_one_and_the_far_future_come_back(copied: Copied) -> None:
    [batch] = copied.backups.fetched_batches(copied.target("raw"))

    assert _raw_records() == decode_records(batch)


def test_a_batch_that_spans_more_than_24_days_keeps_its_times(copied: Copied) -> None:
    [batch] = copied.backups.fetched_batches(copied.target("raw"))

    times = [record.timestamp for record in decode_records(batch)]
    assert max(times) - min(times) > 24.8 * DAY_MS
    assert FAR_FUTURE_MS == read_header(batch, 0).max_timestamp


def test_records_of_a_log_append_time_topic_come_back_as_create_time_with_their_append_time(copied: Copied) -> None:
    before = reading.read_all(copied.kafka.bootstrap, copied.source("appended"))
    headers = [read_header(batch, 0) for batch in copied.backups.fetched_batches(copied.target("appended"))]

    source, target = copied.both("appended")
    assert source == target
    assert {2} == {record.timestamp_type for record in before}
    assert not any(header.is_log_append_time for header in headers)
    assert ["LogAppendTime"] == [
        line.timestamp_type for line in copied.backups.lines(copied.point, copied.source("appended"))
    ]
    said = [finding.message for finding in copied.result.findings if finding.subject == copied.target("appended")]
    assert any("are restored as CreateTime with their append time" in message for message in said)


def test_every_codec_stays_the_producers_own(copied: Copied) -> None:
    stored = [
        read_header(batch, 0).codec for batch in copied.backups.stored_batches(copied.point, copied.source("codecs"))
    ]
    restored = [read_header(batch, 0).codec for batch in copied.backups.fetched_batches(copied.target("codecs"))]

    assert {*CODECS, "none"} == set(stored) == set(restored)


def test_stored_batches_are_byte_for_byte_those_of_the_broker(copied: Copied) -> None:
    for topic in ("shapes", "raw", "codecs", "appended", "large", "compacted", "trimmed", "transactions"):
        for partition in range(PARTITIONS[topic]):
            served = copied.backups.fetched_batches(copied.source(topic), partition)
            assert served == copied.backups.stored_batches(copied.point, copied.source(topic), partition)


def test_a_compacted_log_has_holes_everywhere_and_comes_back_dense(copied: Copied) -> None:
    stored = copied.backups.stored_batches(copied.point, copied.source("compacted"))
    holes = [_holes(batch) for batch in stored if read_header(batch, 0).record_count]
    restored = reading.read_all(copied.kafka.bootstrap, copied.target("compacted"))

    assert 0 in [read_header(batch, 0).record_count for batch in stored]
    assert {"head", "middle", "tail"} <= set().union(*holes)
    assert list(range(len(restored))) == [record.offset for record in restored]


def _holes(batch: bytes) -> set[str]:
    """Where a batch lacks offsets that it once had."""
    header = read_header(batch, 0)
    offsets = [record.offset for record in decode_records(batch)]
    found = {"head"} if offsets[0] > header.base_offset else set()
    found |= {"tail"} if offsets[-1] < header.last_offset else set()
    return found | ({"middle"} if offsets[-1] - offsets[0] >= len(offsets) else set())


def test_a_log_that_begins_inside_a_batch_gives_only_the_records_from_its_start(copied: Copied) -> None:
    restored = reading.read_all(copied.kafka.bootstrap, copied.target("trimmed"))
    rows = [copied.backups.row(copied.point, copied.source("trimmed"), partition) for partition in (0, 1)]

    assert [b"key-%d" % number for number in range(25, 50)] == [record.key for record in restored]
    assert [(25, 50), (50, 50)] == [(row.first, row.next) for row in rows]


def test_empty_partitions_are_counted_and_made_again(copied: Copied) -> None:
    ends = [reading.end_offset(copied.kafka.bootstrap, copied.target("empty"), partition) for partition in range(5)]

    assert PARTITIONS["empty"] == reading.partition_count(copied.kafka.bootstrap, copied.target("empty"))
    assert [0, 0, 3, 0, 0] == ends


def test_aborted_records_are_stored_and_never_restored(copied: Copied) -> None:
    bootstrap = copied.kafka.bootstrap
    stored = copied.backups.stored_batches(copied.point, copied.source("transactions"))
    keys = {record.key for batch in stored for record in decode_records(batch)}
    restored = reading.read_all(bootstrap, copied.target("transactions"), isolation="read_uncommitted")

    assert {b"key-0", b"key-30", b"key-90"} <= keys
    assert [*range(10, 25), *range(50, 60), *range(70, 80)] == [int((one.key or b"")[4:]) for one in restored]


def test_an_open_transaction_and_what_follows_it_are_not_in_the_backup(copied: Copied) -> None:
    row = copied.backups.row(copied.point, copied.source("open"))
    restored = reading.read_all(copied.kafka.bootstrap, copied.target("open"), isolation="read_uncommitted")

    assert [b"key-%d" % number for number in range(7)] == [record.key for record in restored]
    assert (7, 7, 13) == (row.next, row.last_stable_offset, row.high_watermark)


@pytest.mark.parametrize(
    ("topic", "partition"),
    [("compacted", 0), ("transactions", 0), ("trimmed", 0), ("trimmed", 1), ("codecs", 0), ("empty", 0)],
)
def test_every_offset_maps_to_the_number_of_records_that_librdkafka_sees_below_it(
    copied: Copied, topic: str, partition: int
) -> None:
    source = copied.source(topic)
    visible = [record.offset for record in reading.read_all(copied.kafka.bootstrap, source, partition)]
    end = reading.end_offset(copied.kafka.bootstrap, source, partition)
    lines = copied.backups.lines(copied.point, source, partition)
    reader = FrameReader(copied.backups.store)

    ranks = [rank(reader, lines, offset) for offset in range(end + 3)]

    assert [sum(seen < offset for seen in visible) for offset in range(end + 3)] == ranks


def test_the_points_totals_count_what_librdkafka_reads(copied: Copied) -> None:
    seen = sum(
        len(copied.both(topic, partition)[1])
        for topic, partitions in PARTITIONS.items()
        if topic != "raw"  # librdkafka cannot show its headers
        for partition in range(partitions)
    )

    assert seen + len(_raw_records()) == copied.point.totals.records
    assert (len(PARTITIONS), sum(PARTITIONS.values())) == (copied.point.totals.topics, copied.point.totals.partitions)
