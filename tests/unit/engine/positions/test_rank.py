"""The rank of an offset equals the count of the records below it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.batches.records import Record
from tasks.engine.positions.rank import rank
from tasks.model.partition import Partition
from tasks.repository.frame_reader import FrameReader
from tasks.repository.lines import IndexLine
from tasks.repository.partition_table import Row
from tasks.repository.point_lines import counting_lines
from tasks.repository.restore_point import RestorePoint
from tests.support.batch_factory import TRANSACTIONAL, make_batch, make_marker, make_records
from tests.support.made_backup import MadeBackup, make_backup, make_history
from tests.support.made_logs import MadeLog, partition


def _lines(made: MadeBackup) -> Mapping[Partition, Sequence[IndexLine]]:
    point = RestorePoint(made.store, made.point)
    return point.lines(point.rows.values())


@pytest.fixture(scope="module", params=[make_backup, make_history])
def made(request: pytest.FixtureRequest) -> MadeBackup:
    backup: MadeBackup = request.param()
    return backup


def test_the_rank_of_every_offset_is_the_number_of_records_below_it(made: MadeBackup) -> None:
    lines = _lines(made)
    reader = FrameReader(made.store)
    for log in made.logs:
        for offset in range(log.start - 2, log.end + 3):
            expected = sum(record.offset < offset for record in log.records)
            assert expected == rank(reader, lines[log.source], offset), (log.source, offset)


def test_the_rank_in_clipped_lines_counts_only_the_records_inside(made: MadeBackup) -> None:
    lines = _lines(made)
    reader = FrameReader(made.store)
    for log in made.logs:
        for first in range(log.start, log.end, 3):
            row = Row(**log.source._asdict(), first=first, next=log.end - 1, base_seq=0)
            cut = counting_lines(row, lines[log.source])
            kept = [record for record in log.records if first <= record.offset < log.end - 1]
            assert len(kept) == sum(reader.count_records(line) for line in cut)
            for offset in range(first, log.end, 2):
                assert sum(record.offset < offset for record in kept) == rank(reader, cut, offset)


@st.composite
def made_logs(draw: st.DrawFn) -> MadeLog:
    """A log with records, holes, markers and aborted batches in any order."""
    pieces: list[bytes] = []
    records: list[Record] = []
    announced: list[tuple[int, int]] = []
    offset = 0
    for producer in range(draw(st.integers(1, 6))):
        kind = draw(st.sampled_from(["dense", "holes", "emptied", "aborted", "committed"]))
        span = draw(st.integers(1, 6))
        made = make_records(span, first=offset)
        if kind == "holes":
            made = [record for record in made if draw(st.booleans())]
        if kind == "emptied":
            made = []
        is_transaction = kind in ("aborted", "committed")
        pieces.append(
            make_batch(
                made,
                base_offset=offset,
                last_offset=offset + span - 1,
                attributes=TRANSACTIONAL if is_transaction else 0,
                producer_id=producer,
                producer_epoch=0,
            )
        )
        records += [] if kind == "aborted" else made
        announced += [(producer, offset)] if kind == "aborted" else []
        offset += span
        if is_transaction:
            pieces.append(make_marker(offset, producer, commit=kind == "committed"))
            offset += 1
        offset += draw(st.integers(0, 2))
    return MadeLog(
        source=partition("drawn"),
        start=0,
        end=offset,
        pieces=tuple(pieces),
        records=tuple(records),
        announced=tuple(announced),
        batches_per_frame=draw(st.integers(1, 3)),
        frames_per_object=draw(st.sampled_from([None, 1, 2])),
    )


@settings(deadline=None, derandomize=True, max_examples=25)
@given(made_logs())
def test_the_rank_equals_the_count_in_random_logs(log: MadeLog) -> None:
    backup = make_backup([log])
    lines, reader = _lines(backup)[log.source], FrameReader(backup.store)
    assert [sum(record.offset < offset for record in log.records) for offset in range(log.end + 2)] == [
        rank(reader, lines, offset) for offset in range(log.end + 2)
    ]
    assert len(log.records) == backup.point.totals.records
