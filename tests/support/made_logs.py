"""Partitions as a cluster could serve them, made without one: big, packed, transactional, compacted, torn and empty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tasks.batches.records import Record
from tasks.model.partition import Partition
from tasks.model.ranges import Gap
from tests.support.batch_factory import (
    DELETE_HORIZON,
    LOG_APPEND_TIME,
    TRANSACTIONAL,
    make_batch,
    make_marker,
    make_records,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeLog:
    """One partition. `pieces` are its batches in order, with gaps where retention passed the capture. `records` are
    those that a restore must write. `announced` is what a broker says of aborted transactions: (producer id, first
    offset). `trimmed_to`: the log start had moved there before the capture began."""

    source: Partition
    start: int
    end: int
    pieces: tuple[bytes | Gap, ...] = ()
    records: tuple[Record, ...] = ()
    announced: tuple[tuple[int, int], ...] = ()
    trimmed_to: int | None = None
    empty_from: int | None = None
    batches_per_frame: int = 2
    frames_per_object: int | None = None


def partition(topic: str, number: int = 0) -> Partition:
    """A partition of a topic whose id has the right shape."""
    return Partition(topic, f"{topic:x<21}"[:21] + "A", number)


def plain_log(
    topic: str,
    number: int = 0,
    *,
    batches: int,
    first: int = 0,
    per_batch: int = 5,
    codecs: Sequence[str] = ("none",),
    frames_per_object: int | None = None,
) -> MadeLog:
    """Dense batches of `per_batch` records, their codecs in turn."""
    starts = range(first, first + batches * per_batch, per_batch)
    made = [make_records(per_batch, first=start, size_bytes=20) for start in starts]
    pieces = [
        make_batch(records, base_offset=records[0].offset, codec=codecs[turn % len(codecs)], leader_epoch=turn // 3)
        for turn, records in enumerate(made)
    ]
    return MadeLog(
        source=partition(topic, number),
        start=first,
        end=first + batches * per_batch,
        pieces=tuple(pieces),
        records=tuple(record for records in made for record in records),
        frames_per_object=frames_per_object,
    )


def transactional_log(topic: str) -> MadeLog:
    """Two producers interleaved: 7 aborts, then commits; 8 commits; an abort whose marker lies beyond the end."""
    written = [
        (0, 7, False),
        (3, 8, True),
        (6, 7, False),
        (11, 7, True),
        (15, 9, False),
    ]
    markers = {9: (7, False), 10: (8, True), 14: (7, True)}
    pieces: dict[int, bytes] = {at: make_marker(at, pid, commit=commit) for at, (pid, commit) in markers.items()}
    kept: list[Record] = []
    for at, pid, is_committed in written:
        records = make_records(3, first=at)
        pieces[at] = make_batch(records, base_offset=at, attributes=TRANSACTIONAL, producer_id=pid, producer_epoch=0)
        kept += records if is_committed else []
    return MadeLog(
        source=partition(topic),
        start=0,
        end=18,
        pieces=tuple(pieces[at] for at in sorted(pieces)),
        records=tuple(kept),
        announced=((7, 0), (9, 15)),
        batches_per_frame=3,
    )


def compacted_log(topic: str) -> MadeLog:
    """Holes at the head, in the middle and at the tail of batches, an emptied batch, a delete horizon."""
    records = make_records(40, first=100)
    kept = [records[1], records[4], records[10], records[12], records[30], records[31]]
    horizon = kept[0].timestamp + 86_400_000
    return MadeLog(
        source=partition(topic),
        start=100,
        end=140,
        pieces=(
            make_batch(kept[:2], base_offset=100, last_offset=107, codec="gzip"),
            make_batch(kept[2:4], base_offset=108, last_offset=119, codec="snappy"),
            make_batch([], base_offset=120, last_offset=127),
            make_batch(
                kept[4:],
                base_offset=128,
                last_offset=135,
                attributes=DELETE_HORIZON,
                base_timestamp=horizon,
                codec="lz4",
            ),
        ),
        records=tuple(kept),
    )


def append_time_log(topic: str) -> MadeLog:
    """Batches whose records all have the time at which the broker appended them."""
    made = [make_records(4, first=first) for first in (0, 4)]
    times = [1_750_000_000_000, 1_750_000_005_000]
    return MadeLog(
        source=partition(topic),
        start=0,
        end=8,
        pieces=tuple(
            make_batch(records, base_offset=records[0].offset, attributes=LOG_APPEND_TIME, max_timestamp=time)
            for records, time in zip(made, times, strict=True)
        ),
        records=tuple(
            record._replace(timestamp=time) for records, time in zip(made, times, strict=True) for record in records
        ),
    )


def torn_log(topic: str) -> MadeLog:
    """Trimmed before the first batch, and passed by retention while it was read."""
    before, after = plain_log(topic, batches=2, first=10), plain_log(topic, batches=2, first=30)
    return replace(
        after,
        start=5,
        trimmed_to=10,
        pieces=(*before.pieces, Gap(20, 30, "log start moved"), *after.pieces),
        records=before.records + after.records,
    )


def cleaned_log(topic: str) -> MadeLog:
    """A log whose batches a cleaner took, all of them."""
    return MadeLog(source=partition(topic), start=50, end=60, empty_from=50)


def empty_log(topic: str, number: int = 0) -> MadeLog:
    """A partition that nobody has written to."""
    return MadeLog(source=partition(topic, number), start=0, end=0)


def many_logs() -> list[MadeLog]:
    """One of every kind; the first is big enough for several objects."""
    return [
        plain_log("orders", 0, batches=12, codecs=("none", "zstd", "gzip"), frames_per_object=2),
        plain_log("orders", 1, batches=3, codecs=("lz4",)),
        empty_log("orders", 2),
        transactional_log("payments"),
        compacted_log("customers"),
        append_time_log("clicks"),
        torn_log("events"),
        cleaned_log("cleaned"),
    ]
