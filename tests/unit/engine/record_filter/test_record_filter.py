"""A filter keeps exactly the records that a plain filter over decoded records keeps, and counts them exactly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.batches.records import Record, decode_records
from tasks.engine.options import RestoreOptions
from tasks.engine.positions.rank import rank
from tasks.engine.record_filter.filters import filter_of
from tasks.engine.record_filter.record_filter import KEEPS_ALL, Kept, RecordFilter
from tasks.engine.record_filter.sections import counted_sections, measured
from tasks.engine.replay.target_batches import target_batches
from tasks.model.partition import Partition
from tasks.repository.frame_reader import FrameReader
from tasks.repository.lines import IndexLine
from tasks.repository.partition_table import Row
from tasks.repository.point_lines import counting_lines
from tasks.repository.restore_point import RestorePoint
from tests.support.batch_factory import make_batch, make_records
from tests.support.counting_store import CountingStore
from tests.support.made_backup import MadeBackup, make_backup
from tests.support.made_logs import MadeLog, partition
from tests.support.random_logs import TIMES, producer_of, random_logs

TIME_BOUNDS = st.one_of(st.none(), TIMES.filter(lambda time_ms: time_ms != 1_700_000_000))
RULES = st.fixed_dictionaries(
    {},
    optional={
        "key": st.sampled_from(["a", {"prefix": "a"}, {"base64": "/w=="}, ["b", "ab"]]),
        "header": st.sampled_from(["n", {"name": "n", "value": "2"}, "x"]),
        "producer_id": st.sampled_from([0, [1, 2], 9]),
        "offsets": st.sampled_from([[3], ["2-9"], ["0-4", "11-"], ["500-"]]),
        "time_window_start": TIMES.filter(lambda time_ms: time_ms != 1_700_000_000),
        "partitions": st.sampled_from([[0], [1]]),
        "topics": st.sampled_from(["drawn", "other*"]),
    },
).filter(bool)


@st.composite
def rules_about_records(draw: st.DrawFn) -> RestoreOptions:
    start, end = draw(TIME_BOUNDS), draw(TIME_BOUNDS)
    if start is not None and end is not None and end < start:
        start, end = end, start
    until = draw(st.one_of(st.none(), st.integers(0, 40)))
    return RestoreOptions.model_validate(
        {
            "time_window_start": start,
            "time_window_end": end,
            "until_offset": {} if until is None else {"drawn": {0: until}},
            "select": draw(st.lists(RULES, max_size=2)),
            "exclude": draw(st.lists(RULES, max_size=2)),
        }
    )


def _is_kept(options: RestoreOptions, log: MadeLog, record: Record) -> bool:
    """The definition, written as plainly as possible."""
    start, end = options.time_window_start, options.time_window_end
    until = options.until_offset.get("drawn", {}).get(0)
    return (
        (start is None or record.timestamp >= start)
        and (end is None or record.timestamp <= end)
        and (until is None or record.offset < until)
        and (not options.select or any(_matches(rule.model_dump(), log, record) for rule in options.select))
        and not any(_matches(rule.model_dump(), log, record) for rule in options.exclude)
    )


def _matches(rule: Mapping[str, object], log: MadeLog, record: Record) -> bool:
    tests: Mapping[str, Callable[..., bool]] = {
        "key": lambda key: record.key is not None and _has_key(key, record.key),
        "header": lambda header: any(
            name == header["name"].encode() and header.get("value") in (None, value and value.decode())
            for name, value in record.headers
        ),
        "producer_id": lambda ids: producer_of(log, record.offset) in ids,
        "offsets": lambda ranges: any(_in_range(text, record.offset) for text in ranges),
        "time_window_start": lambda start: record.timestamp >= start,
        "partitions": lambda numbers: 0 in numbers,
        "topics": lambda topics: "drawn" in topics,
    }
    return all(tests[name](value) for name, value in rule.items())


def _has_key(rule: Mapping[str, Sequence[str]], key: bytes) -> bool:
    if "base64" in rule:
        return key == b"\xff"
    if "prefix" in rule:
        return key.startswith(b"a")
    return key.decode(errors="replace") in rule["exact"]


def _in_range(text: str, offset: int) -> bool:
    first, dash, last = text.partition("-")
    return int(first) <= offset and (offset <= int(last) if last else bool(dash) or offset == int(first))


def _lines(made: MadeBackup, source: Partition) -> Sequence[IndexLine]:
    point = RestorePoint(made.store, made.point)
    return point.lines(point.rows.values())[source]


def _restored(reader: FrameReader, lines: Sequence[IndexLine], wanted: RecordFilter) -> list[Record]:
    batches = target_batches(reader, lines, wanted, regroup_bytes=1 << 20)
    return [record for batch in batches for record in decode_records(batch)]


@settings(deadline=None, derandomize=True, max_examples=150)
@given(random_logs(), rules_about_records(), st.booleans(), st.data())
def test_the_restored_records_are_those_of_a_plain_filter(
    log: MadeLog, options: RestoreOptions, index_timestamps: bool, data: st.DataObject
) -> None:
    """Also in lines that are clipped inside their frames. The counts of the plan are the same, and so is the position
    of a group at every offset: the first restored record at or after it."""
    backup = make_backup([log], index_timestamps=index_timestamps)
    lines, reader = _lines(backup, log.source), FrameReader(backup.store)
    if data.draw(st.booleans()):
        first = data.draw(st.integers(0, log.end))
        row = Row(**log.source._asdict(), first=first, next=max(first, log.end - 1), base_seq=0)
        lines = counting_lines(row, lines)
        inside = [record for record in log.records if row.first <= record.offset < row.next]
    else:
        inside = list(log.records)
    expected = [record for record in inside if _is_kept(options, log, record)]
    until = options.until_offset.get("drawn", {}).get(0)
    wanted = filter_of(options, log.source, until)

    restored = _restored(reader, lines, wanted)

    assert [record[1:] for record in expected] == [record[1:] for record in restored]
    sections = counted_sections(reader, lines, wanted)
    assert len(expected) == sum(sections)
    for offset in range(log.end + 2):
        below = sum(record.offset < offset for record in expected)
        assert (below, below) == (
            rank(reader, lines, offset, wanted),
            rank(reader, lines, offset, wanted, sections),
        ), offset
    if wanted.has_rules:
        counted, tally = measured(reader, lines, wanted)
        assert (sections, len(expected)) == (counted, tally.records)
        assert len(inside) - len(expected) == sum(tally.left_out.values())
        if tally.has_exact_times and expected:
            times = [record.timestamp for record in expected]
            assert (min(times), max(times)) == (tally.oldest_ms, tally.newest_ms)
        for line in lines:
            for frame in line.frames:
                found = [one for one in inside if frame.first <= one.offset < frame.next and line.first <= one.offset]
                kept = Counter(_is_kept(options, log, one) for one in found)
                if wanted.kept(line, frame) is not Kept.SOME:
                    assert kept[wanted.kept(line, frame) is Kept.NONE] == 0


@pytest.mark.parametrize("index_timestamps", [False, True])
def test_the_smallest_timestamp_of_a_frame_is_stored_only_if_it_is_asked_for(index_timestamps: bool) -> None:
    backup = make_backup(index_timestamps=index_timestamps)
    reader = FrameReader(backup.store)
    found = 0
    for log in backup.logs:
        for line in _lines(backup, log.source):
            for frame in line.frames:
                times = [
                    record.timestamp
                    for _, data in reader.frames(line, [frame])
                    for at, header in reader.batches(line, frame, data)
                    if not header.is_control
                    for record in decode_records(data[at : at + header.size_bytes])
                ]
                assert (min(times) if index_timestamps and times else None) == frame.min_ts
                found += bool(times)
    assert found > 5


def test_without_rules_a_frame_is_read_only_if_it_is_cut() -> None:
    assert not KEEPS_ALL.has_rules
    assert not filter_of(RestoreOptions(), Partition("a", "x" * 22, 0), None).has_rules


def test_a_window_of_a_hundredth_of_a_partition_reads_at_most_three_hundredths_of_its_bytes() -> None:
    """Counting, writing, and the first and the last record together."""
    log = _long_log(batches=1_000)
    backup = make_backup([log], compression="none", index_timestamps=True)
    lines, store = _lines(backup, log.source), ReadBytes(backup.store)
    start = log.records[5_000].timestamp
    options = RestoreOptions(time_window_start=start, time_window_end=start + 99)
    wanted, reader = filter_of(options, log.source, None), FrameReader(store)

    counted, tally = measured(reader, lines, wanted)
    restored = _restored(reader, lines, wanted)

    assert (100, 100, 100) == (sum(counted), tally.records, len(restored))
    stored_bytes = sum(line.frame_bytes for line in lines)
    assert 0 < store.read_bytes <= stored_bytes * 3 // 100


def test_a_restore_without_rules_reads_nothing_to_count_its_records() -> None:
    log = _long_log(batches=20)
    backup = make_backup([log], compression="none")
    store = ReadBytes(backup.store)
    assert 200 == sum(counted_sections(FrameReader(store), _lines(backup, log.source), KEEPS_ALL))
    assert 0 == store.read_bytes


class ReadBytes(CountingStore):
    """Counts the bytes of ranges that are read. A seek table at the end of an object counts too."""

    read_bytes = 0

    def get_range(self, key: str, start: int, length: int) -> bytes:
        self.read_bytes += length
        return super().get_range(key, start, length)


def _long_log(*, batches: int) -> MadeLog:
    """Ten records in each batch, each a millisecond after the one before it, in one object."""
    made = [
        make_records(10, first=first, size_bytes=2_000, timestamp=1_700_000_000_000 + first)
        for first in range(0, batches * 10, 10)
    ]
    return MadeLog(
        source=partition("long"),
        start=0,
        end=batches * 10,
        pieces=tuple(make_batch(records, base_offset=records[0].offset) for records in made),
        records=tuple(record for records in made for record in records),
        batches_per_frame=2,
    )
