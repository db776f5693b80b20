"""Random partitions for properties: holes, markers, aborted data, gaps, codecs, both timestamp types, times in any
order."""

from __future__ import annotations

from hypothesis import strategies as st

from tasks.batches.header import read_header
from tasks.batches.records import Record
from tasks.model.ranges import Gap
from tests.support.batch_factory import DELETE_HORIZON, LOG_APPEND_TIME, TRANSACTIONAL, make_batch, make_marker
from tests.support.made_logs import MadeLog, partition

TIMES = st.sampled_from([-1, 0, 1_700_000_000, *range(1_700_000_000_000, 1_700_000_000_012), 1_900_000_000_000])
KINDS = ("dense", "holes", "emptied", "aborted", "committed", "append time", "horizon", "gap")
KEYS = (None, b"", b"a", b"ab", b"b", b"\xff")


@st.composite
def random_logs(draw: st.DrawFn) -> MadeLog:
    """A log of a few batches. Each producer writes one batch, and its id is the number of the batch modulo 3."""
    pieces: list[bytes | Gap] = []
    records: list[Record] = []
    announced: list[tuple[int, int]] = []
    offset = 0
    for number in range(draw(st.integers(1, 7))):
        kind, span, producer = draw(st.sampled_from(KINDS)), draw(st.integers(1, 6)), number % 3
        if kind == "gap":
            pieces.append(Gap(offset, offset + span, "log start moved"))
            offset += span
            continue
        made = [_record(draw, at) for at in range(offset, offset + span)]
        if kind == "holes":
            made = [record for record in made if draw(st.booleans())]
        made = [] if kind == "emptied" else made
        is_transaction = kind in ("aborted", "committed")
        append_time = draw(TIMES) if kind == "append time" else None
        pieces.append(
            make_batch(
                made,
                base_offset=offset,
                last_offset=offset + span - 1,
                codec=draw(st.sampled_from(["none", "gzip", "zstd", "lz4", "snappy"])),
                attributes={"append time": LOG_APPEND_TIME, "horizon": DELETE_HORIZON}.get(kind, 0)
                | (TRANSACTIONAL if is_transaction else 0),
                producer_id=producer,
                producer_epoch=0,
                base_timestamp=1_800_000_000_000 if kind == "horizon" else None,
                max_timestamp=append_time,
            )
        )
        if append_time is not None:
            made = [record._replace(timestamp=append_time) for record in made]
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


def producer_of(log: MadeLog, offset: int) -> int:
    """The producer that wrote the record at an offset."""
    batches = [piece for piece in log.pieces if isinstance(piece, bytes)]
    headers = [read_header(batch, 0) for batch in batches]
    return next(one.producer_id for one in headers if one.base_offset <= offset < one.next_offset)


def _record(draw: st.DrawFn, offset: int) -> Record:
    headers = draw(st.sampled_from([(), ((b"n", b"1"),), ((b"n", None), (b"n", b"2"), (b"m", b"1"))]))
    return Record(offset, draw(TIMES), draw(st.sampled_from(KEYS)), b"v%d" % offset, headers)
