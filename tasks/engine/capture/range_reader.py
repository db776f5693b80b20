"""Reads one range of a partition from its leader, and reports batches, gaps and other events in order. Decides what a
moved log start, a truncated log, a deleted topic and empty answers mean."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from tasks.batches.header import BatchHeader
from tasks.broker.log_values import Fetched
from tasks.broker.ports import LogReader
from tasks.engine.capture.scan import scan
from tasks.engine.rate_limit import RateLimit
from tasks.model.errors import BrokerUnavailableError, OffsetOutOfRangeError, TopicGoneError
from tasks.model.partition import Partition
from tasks.model.ranges import OVERTAKEN, TOPIC_GONE, TRIMMED, TRUNCATED, Gap

EMPTY_ANSWERS = 5
"""After this many empty answers in a row, the tail of a compacted topic is treated as empty, because a cleaner removed
its last batches. An answer counts only if the broker did not throttle it and the log is stable up to the end. Empty
answers do not end any other topic: a leader also sends them while its tiered storage is slow or over its quota
(KIP-405). Compacted topics cannot be tiered."""


TrimPolicy = Literal["trimmed", "gap"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureRange:
    """The range [start, end) of a partition. `bytes` is an estimate of its size on the broker.

    `start_epoch` is the leader epoch of the batch before `start`, if an earlier run read it. With it the broker reports
    whether the log diverged after that run. `on_trim` decides what happens if the log start moved past `start` before
    anything was read. With `trimmed` the range begins later, because a snapshot reads everything that exists. With
    `gap` the offsets are lost, because an incremental run continues where the last run ended. If its log diverged below
    `start`, such a run continues where it diverged: it reads offsets below `start` again.
    """

    source: Partition
    start: int
    end: int
    bytes: int = 0
    start_epoch: int | None = None
    on_trim: TrimPolicy = "trimmed"


@dataclass(frozen=True, slots=True)
class Batches:
    """The batches of one fetch answer, as (position in the answer, header). The reader continues at `next`."""

    fetched: Fetched
    batches: list[tuple[int, BatchHeader]]
    next: int


@dataclass(frozen=True, slots=True)
class Trimmed:
    """The log start moved to `first` before anything was read."""

    first: int


@dataclass(frozen=True, slots=True)
class Diverged:
    """From `offset` on the log has a new lineage. The cluster lost the records that were read from there on."""

    offset: int


@dataclass(frozen=True, slots=True)
class EmptyTail:
    """The leader has no batches from `offset` to the end of the range."""

    offset: int


Event = Batches | Trimmed | Diverged | EmptyTail | Gap


class RangeReader:
    """Reads [start, end) of a partition. Iterate over it once.

    The next fetch request is already sent while the caller processes the batches of the last answer. With a `limit` it
    is sent as soon as the limit allows the bytes of the last answer. `first` is the answer to the first request, if
    that was shared with other ranges (`LogReader.first_answers`); then the reader does not send it. A moved log start,
    a truncated log and a deleted topic become events. Raises what `PartitionFetcher.receive` raises for all other
    problems, what `scan` raises, and `BrokerUnavailableError` if no batch arrives for longer than the cluster's
    deadline.
    """

    def __init__(
        self,
        log: LogReader,
        range_: CaptureRange,
        *,
        fetch_bytes: int,
        is_compacted: Callable[[], bool],
        stop: threading.Event,
        first: Fetched | None = None,
        limit: RateLimit | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._fetcher = log.fetcher(max_bytes=fetch_bytes)
        self._source = range_.source
        self._position = self._start = range_.start
        self._end = self._planned_end = range_.end
        self._epoch = self._start_epoch = range_.start_epoch
        self._epochs: list[tuple[int, int]] = []
        self._continues = self._trim_is_gap = range_.on_trim == "gap"
        self._has_read = False
        self._first = first
        self._is_compacted = is_compacted
        self._stop = stop
        self._limit = limit
        self._clock = clock
        self._empty = 0
        self._deadline: float | None = None

    def __iter__(self) -> Iterator[Event]:
        try:
            if self._first is None:
                self._send()
            while self._position < self._end:
                yield from self._next_answer()
        except TopicGoneError:
            yield Gap(self._position, self._end, TOPIC_GONE)
        if self._end < self._planned_end:
            yield Gap(self._end, self._planned_end, TRUNCATED)

    def _next_answer(self) -> Iterator[Event]:
        try:
            fetched = self._receive()
        except OffsetOutOfRangeError:
            yield from self._on_out_of_range()
            self._send()
            return
        if self._limit is not None:
            self._limit.spend(len(fetched.records), self._stop)
        if fetched.diverging is not None:
            yield from self._on_divergence(*fetched.diverging)
            self._send()
        else:
            yield from self._on_answer(fetched)

    def _receive(self) -> Fetched:
        """The answer to the last request. The shared answer counts as the one to the first request."""
        first, self._first = self._first, None
        return self._fetcher.receive() if first is None else first

    def _send(self) -> None:
        if self._position < self._end:
            self._fetcher.send(self._source, self._position, self._epoch)

    def _on_answer(self, fetched: Fetched) -> Iterator[Event]:
        found = scan(fetched.records, self._position, self._end, self._epoch, where=str(self._source))
        if not found.batches and found.next < self._end:
            yield from self._on_empty_answer(fetched)
            return
        self._note_epochs(found.batches)
        self._position, self._epoch, self._trim_is_gap, self._has_read = found.next, found.epoch, True, True
        self._empty, self._deadline = 0, None
        self._send()
        yield Batches(fetched, found.batches, found.next)

    def _on_empty_answer(self, fetched: Fetched) -> Iterator[Event]:
        """Fetch again, unless repeated empty answers show that the tail of a compacted topic is empty."""
        if fetched.throttle_time_ms:
            self._empty = 0
        elif fetched.last_stable_offset < self._end:
            self._wait_for(fetched.last_stable_offset)
        else:
            self._empty += 1
            if fetched.preferred_replica >= 0 or (self._empty >= EMPTY_ANSWERS and not self._is_compacted()):
                self._wait(
                    f"the leader sends no records from offset {self._position} on, although its log contains some"
                )
            elif self._empty >= EMPTY_ANSWERS:
                yield EmptyTail(self._position)
                self._position = self._end
        self._send()

    def _wait_for(self, last_stable_offset: int) -> None:
        self._wait(f"the leader serves up to offset {last_stable_offset}, the plan ends at {self._end}")

    def _wait(self, reason: str) -> None:
        """Note that the next fetch is a wait for this reason. Raises `BrokerUnavailableError` if the wait has lasted
        longer than the cluster's deadline."""
        now = self._clock()
        if self._deadline is None:
            self._deadline = now + self._log.retry_deadline_ms / 1000
        if now > self._deadline:
            raise BrokerUnavailableError(f"{self._source}: {reason}; this did not change before the deadline.")

    def _on_out_of_range(self) -> Iterator[Event]:
        """The error has several causes, so the log start and the log end are read to find out which one it is."""
        earliest, latest = self._bounds()
        if earliest > self._position and self._trim_is_gap:
            gap = Gap(self._position, min(earliest, self._end), TRIMMED if self._has_read else OVERTAKEN)
            self._position = gap.next
            yield gap
        elif earliest > self._position:
            self._position = earliest
            yield Trimmed(earliest)
        elif latest < self._position:
            yield from self._on_divergence(None, latest)
        else:
            self._wait_for(latest)  # a replica that lags behind sent the answer
            self._stop.wait(0.2)

    def _on_divergence(self, epoch: int | None, end: int) -> Iterator[Event]:
        """The leader's log has no records of the last epoch that was read: its largest epoch up to that one is `epoch`,
        which ends at `end`. Without an `epoch` its log ends at `end`. Continue where both logs are equal, up to the end
        of the new log. If that lost the marker of a transaction of which it kept records, the transaction is open
        again, and its records are not read any more."""
        earliest, latest = self._bounds()
        offset, known_epoch = self._common_end(epoch, end, earliest)
        offset = min(offset, latest)
        if offset < self._position:
            self._position = offset if self._continues else max(offset, self._start)
            self._epoch = known_epoch
            self._epochs = [one for one in self._epochs if one[1] < self._position]
            yield Diverged(self._position)
        else:
            self._epoch = None
        self._end = min(self._end, max(latest, self._position))

    def _common_end(self, epoch: int | None, end: int, earliest: int) -> tuple[int, int | None]:
        """(the offset up to which both logs can be equal, the epoch of the batch before it). The next fetch sends this
        epoch, so the leader reports if the logs differ even earlier. If they differ before the first known epoch,
        everything is read again."""
        if epoch is None:
            return end, None
        if self._start_epoch is not None and epoch < self._start_epoch:
            return min(earliest, self._position), None
        newer = [first for known, first in self._epochs if known > epoch]
        common = min([end, *newer[:1]])
        below = [known for known, first in self._epochs if first < common]
        return common, below[-1] if below else self._start_epoch

    def _note_epochs(self, batches: list[tuple[int, BatchHeader]]) -> None:
        if batches and (not self._epochs or self._epochs[-1][0] != batches[-1][1].leader_epoch):
            for _, header in batches:
                if not self._epochs or self._epochs[-1][0] != header.leader_epoch:
                    self._epochs.append((header.leader_epoch, header.base_offset))

    def _bounds(self) -> tuple[int, int]:
        answers = [self._log.list_offsets([self._source], which) for which in ("earliest", "last_stable")]
        for answer in answers:
            for failure in answer.failures.values():
                raise failure
        return answers[0].offsets[self._source], answers[1].offsets[self._source]
