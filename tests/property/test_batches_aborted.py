"""Aborted transactions in arbitrary logs: whatever the answers' cuts, judging live equals judging by stored ranges."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.batches.aborted import AbortedBatches, AbortTracker, clip
from tasks.batches.header import BatchHeader, iter_headers
from tests.support.batch_factory import TRANSACTIONAL, make_batch, make_marker, make_records

CHECKS = settings(deadline=None, derandomize=True, max_examples=150)

_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["data", "data", "data", "plain", "commit", "abort"]), st.integers(1, 3), st.integers(1, 3)
    ),
    max_size=40,
)
"""What happens in a log: (step, producer, records)."""


@dataclass
class _Transaction:
    producer: int
    first: int
    marker: int | None = None
    is_aborted: bool = False


@dataclass
class _Log:
    """Batches in offset order, and of each one the transaction that wrote it."""

    data: bytes
    batches: list[tuple[int, BatchHeader]]
    owners: list[_Transaction | None]
    transactions: list[_Transaction]

    def truth(self, index: int) -> bool:
        owner = self.owners[index]
        return owner is not None and owner.is_aborted

    def announced(self, first: int, upper: int) -> list[tuple[int, int]]:
        """What a broker says with an answer: aborted transactions that reach into [first, upper)."""
        return [
            (t.producer, t.first)
            for t in self.transactions
            if t.is_aborted and t.marker is not None and t.marker >= first and t.first < upper
        ]


def _play(steps: list[tuple[str, int, int]], gone: set[int]) -> _Log:
    """The log after `steps`, every transaction ended; of batches numbered in `gone` compaction took the data."""
    parts: list[bytes] = []
    owners: list[_Transaction | None] = []
    transactions: list[_Transaction] = []
    open_: dict[int, _Transaction] = {}
    offset = 0
    endings = [("abort" if producer % 2 else "commit", producer, 1) for producer in (1, 2, 3)]
    for number, (step, producer, count) in enumerate([*steps, *endings]):
        is_transactional = step == "data"
        if step in ("commit", "abort"):
            if producer not in open_:
                continue
            ended = open_.pop(producer)
            ended.marker, ended.is_aborted = offset, step == "abort"
            batch, count, owner = make_marker(offset, producer, commit=step == "commit"), 1, None
        else:
            if is_transactional and producer not in open_:
                open_[producer] = _Transaction(producer, offset)
                transactions.append(open_[producer])
            bits = TRANSACTIONAL if is_transactional else 0
            records = make_records(count, first=offset)
            batch = make_batch(records, base_offset=offset, attributes=bits, producer_id=producer)
            owner = open_[producer] if is_transactional else None
        if step in ("commit", "abort") or number not in gone:
            parts.append(batch)
            owners.append(owner)
        offset += count
    data = b"".join(parts)
    return _Log(data, list(iter_headers(data)), owners, transactions)


@CHECKS
@given(
    steps=_STEPS,
    gone=st.sets(st.integers(0, 40), max_size=12),
    cuts=st.sets(st.integers(0, 43), max_size=10),
    segments=st.sets(st.integers(0, 43), max_size=4),
    lookahead=st.integers(0, 30),
    start=st.integers(0, 10),
    stop=st.integers(0, 10),
)
def test_judging_live_equals_judging_by_ranges_whatever_the_cuts(
    steps: list[tuple[str, int, int]],
    gone: set[int],
    cuts: set[int],
    segments: set[int],
    lookahead: int,
    start: int,
    stop: int,
) -> None:
    log = _play(steps, gone)
    # Reading may begin inside a transaction, and end below the markers.
    indexes = range(start, len(log.batches) - stop)
    tracker = AbortTracker()
    kept: list[tuple[AbortTracker, list[int]]] = [(tracker, [])]
    for index in indexes:
        position, header = log.batches[index]
        if index == indexes.start or index in cuts:
            tracker.start_response(log.announced(header.base_offset, _upper(log, index, cuts) + lookahead))
        if index in segments:
            tracker = tracker.continued()
            kept.append((tracker, []))
        kept[-1][1].append(index)
        assert log.truth(index) == tracker.judge(header, log.data, position), f"batch {index}"

    for of_segment, members in kept:
        ranges = of_segment.ranges()
        assert ranges == sorted(ranges, key=lambda found: found.first)
        for index in members:
            assert log.truth(index) == AbortedBatches(ranges).covers(log.batches[index][1]), f"batch {index}"


def _upper(log: _Log, index: int, cuts: set[int]) -> int:
    """Where the answer that begins with this batch ends at least."""
    following = [cut for cut in cuts if index < cut < len(log.batches)]
    return log.batches[min(following)][1].base_offset if following else log.batches[-1][1].next_offset


@CHECKS
@given(steps=_STEPS, gone=st.sets(st.integers(0, 40), max_size=12), first=st.integers(0, 60), size=st.integers(0, 60))
def test_clipped_ranges_judge_every_batch_of_the_clip_alike(
    steps: list[tuple[str, int, int]], gone: set[int], first: int, size: int
) -> None:
    log = _play(steps, gone)
    tracker = AbortTracker()
    tracker.start_response(log.announced(0, 1 << 40))
    for position, header in log.batches:
        tracker.judge(header, log.data, position)
    clipped = clip(tracker.ranges(), first, first + size)
    for index, (_, header) in enumerate(log.batches):
        if header.next_offset > first and header.base_offset < first + size:
            assert log.truth(index) == AbortedBatches(clipped).covers(header)
