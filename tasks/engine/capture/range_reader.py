"""Reads one planned range from its leader until the position reaches the end, and says what it met on the way."""

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
from tasks.model.errors import BrokerUnavailableError, OffsetOutOfRangeError, TopicGoneError
from tasks.model.partition import Partition
from tasks.model.ranges import TOPIC_GONE, TRIMMED, TRUNCATED, Gap

EMPTY_ANSWERS = 5
"""So many empty answers in a row, without throttle or error and with everything up to the end stable, say of a
compacted topic that a cleaner dropped the log's last batches. Of any other they say nothing: while tiered storage is
slow or its quota is used up a leader answers just so (KIP-405), and compacted topics cannot be tiered."""


TrimPolicy = Literal["trimmed", "gap"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureRange:
    """Read [start, end) of `source`. `bytes` estimates what the broker keeps of it.

    `start_epoch` is the leader epoch of the batch before `start`, when an earlier run read it: the broker then reports
    a log that diverged since. `on_trim` says what it means that the log start has moved past `start` before anything
    was read: the range begins later (`trimmed`: a snapshot re-reads everything that there is), or records are lost that
    the backup should have (`gap`: an incremental run goes on from the last one).
    """

    source: Partition
    start: int
    end: int
    bytes: int = 0
    start_epoch: int | None = None
    on_trim: TrimPolicy = "trimmed"


@dataclass(frozen=True, slots=True)
class Batches:
    """Whole batches of one fetch answer, from `position` up to `next`."""

    fetched: Fetched
    batches: list[tuple[int, BatchHeader]]
    next: int


@dataclass(frozen=True, slots=True)
class Trimmed:
    """Nothing was read yet, and the log begins at `first` now."""

    first: int


@dataclass(frozen=True, slots=True)
class Diverged:
    """From `offset` on another lineage counts: what was read beyond it was lost by the cluster."""

    offset: int


@dataclass(frozen=True, slots=True)
class EmptyTail:
    """The leader has nothing from `offset` to the end."""

    offset: int


Event = Batches | Trimmed | Diverged | EmptyTail | Gap


class RangeReader:
    """One pass over [start, end) of a partition. Iterate it once.

    The next fetch is under way while the caller works on the batches it was given. Raises what `Fetcher.receive`
    raises, but for what the log itself explains: a moved log start, a truncation and a deleted topic become events.
    """

    def __init__(
        self,
        log: LogReader,
        range_: CaptureRange,
        *,
        fetch_bytes: int,
        is_compacted: Callable[[], bool],
        stop: threading.Event,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._fetcher = log.fetcher(max_bytes=fetch_bytes)
        self._source = range_.source
        self._position = self._start = range_.start
        self._end = self._planned_end = range_.end
        self._epoch = range_.start_epoch
        self._loses_trimmed = range_.on_trim == "gap"
        self._is_compacted = is_compacted
        self._stop = stop
        self._clock = clock
        self._empty = 0
        self._deadline: float | None = None

    def __iter__(self) -> Iterator[Event]:
        try:
            self._send()
            while self._position < self._end:
                yield from self._answer()
        except TopicGoneError:
            yield Gap(self._position, self._end, TOPIC_GONE)
        if self._end < self._planned_end:
            yield Gap(self._end, self._planned_end, TRUNCATED)

    def _answer(self) -> Iterator[Event]:
        try:
            fetched = self._fetcher.receive()
        except OffsetOutOfRangeError:
            yield from self._out_of_range()
            self._send()
            return
        if fetched.diverging is not None:
            yield from self._diverged(fetched.diverging[1])
            self._send()
        else:
            yield from self._take(fetched)

    def _send(self) -> None:
        if self._position < self._end:
            self._fetcher.send(self._source, self._position, self._epoch)

    def _take(self, fetched: Fetched) -> Iterator[Event]:
        found = scan(fetched.records, self._position, self._end, self._epoch, where=str(self._source))
        if not found.batches and found.next < self._end:
            yield from self._nothing(fetched)
            return
        self._position, self._epoch, self._loses_trimmed = found.next, found.epoch, True
        self._empty, self._deadline = 0, None
        self._send()
        yield Batches(fetched, found.batches, found.next)

    def _nothing(self, fetched: Fetched) -> Iterator[Event]:
        """An empty answer means wait, unless it is repeated where nothing is left to wait for."""
        if fetched.throttle_time_ms:
            self._empty = 0
        elif fetched.last_stable_offset < self._end:
            self._wait_for(fetched.last_stable_offset)
        else:
            self._empty += 1
            if fetched.preferred_replica >= 0 or (self._empty >= EMPTY_ANSWERS and not self._is_compacted()):
                self._wait(f"the leader sends no records from offset {self._position} on, where its log has some")
            elif self._empty >= EMPTY_ANSWERS:
                yield EmptyTail(self._position)
                self._position = self._end
        self._send()

    def _wait_for(self, last_stable_offset: int) -> None:
        self._wait(f"the leader serves up to offset {last_stable_offset}, the plan ends at {self._end}")

    def _wait(self, why: str) -> None:
        """Until something comes, at most until the cluster's deadline has passed since this began."""
        now = self._clock()
        if self._deadline is None:
            self._deadline = now + self._log.retry_deadline_ms / 1000
        if now > self._deadline:
            raise BrokerUnavailableError(f"{self._source}: {why}; that did not change in time.")

    def _out_of_range(self) -> Iterator[Event]:
        """By itself the error says nothing: ask where the log begins and ends now."""
        earliest, latest = self._bounds()
        if earliest > self._position and self._loses_trimmed:
            lost = Gap(self._position, min(earliest, self._end), TRIMMED)
            self._position = lost.next
            yield lost
        elif earliest > self._position:
            self._position = earliest
            yield Trimmed(earliest)
        elif latest < self._position:
            yield from self._diverged(latest)
        else:
            self._wait_for(latest)  # the answer came from a replica that lags behind
            self._stop.wait(0.2)

    def _diverged(self, offset: int) -> Iterator[Event]:
        """The log's lineage changed at `offset`: go on from there, up to where the new log ends."""
        _, latest = self._bounds()
        self._epoch = None
        if offset < self._position:
            self._position = max(offset, self._start)
            yield Diverged(self._position)
        self._end = min(self._end, max(latest, self._position))

    def _bounds(self) -> tuple[int, int]:
        answers = [self._log.list_offsets([self._source], which) for which in ("earliest", "last_stable")]
        for answer in answers:
            for failure in answer.failures.values():
                raise failure
        return answers[0].offsets[self._source], answers[1].offsets[self._source]
