"""Counts what a filter keeps and leaves out of a partition: records by rule, bytes, times."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tasks.batches.header import BatchHeader, read_header
from tasks.batches.record_slices import read_slices
from tasks.batches.timestamps import smallest_timestamp
from tasks.engine.record_filter.conditions import Extent, frame_extent
from tasks.engine.record_filter.odd_times import is_all_odd, odd_kind, odd_kinds
from tasks.engine.record_filter.record_filter import Verdict
from tasks.repository.lines import Frame, IndexLine


@dataclass(slots=True)
class Tally:
    """The counts so far. `captured_ms` has to be set to that of each line before its frames are added.

    `log_bytes` are the bytes of the batches that a restore writes, before tiny ones are joined. Of frames that are kept
    whole without reading them they are all bytes. `left_out` and `selected` are records by the label of the rule.
    `oldest_ms` and `newest_ms` are the times of kept records; if `has_exact_times` is false, they are bounds of the
    index: the oldest can be older, and both can be of an aborted record. `oldest_batch_ms` is the smallest maximum
    timestamp of a written batch. `odd` counts the records with odd times, kept or left out; unless `has_exact_odd` is
    true they can be more. `decoded_log_bytes` are the log bytes of the frames that were read.
    """

    captured_ms: int = 0
    records: int = 0
    log_bytes: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    selected: Counter[str] = field(default_factory=Counter)
    oldest_ms: int | None = None
    newest_ms: int | None = None
    oldest_batch_ms: int | None = None
    has_exact_times: bool = True
    odd: Counter[str] = field(default_factory=Counter)
    has_exact_odd: bool = True
    decoded_log_bytes: int = 0

    def kept_frame(self, label: str | None, line: IndexLine, frame: Frame) -> None:
        """Add a frame that is kept whole and was not read. `label` is the rule that selects it."""
        self.records += frame.restorable
        self.log_bytes += frame.log_bytes
        self._select(label, frame.restorable)
        lowest = frame.oldest_ts if frame.min_ts is None else frame.min_ts
        self._times(lowest, frame.max_ts)
        self._oldest_batch(-1 if frame.oldest_ts is None else frame.oldest_ts)
        has_aborted = any(one.first < frame.next and one.last >= frame.first for one in line.aborted)
        self.has_exact_times &= frame.min_ts is not None and not has_aborted
        self._odd_of_index(frame_extent(line, frame), frame.restorable)

    def left_out_frame(self, label: str | None, line: IndexLine, frame: Frame, records: int) -> None:
        """Add a frame that is left out and was not read. `records` are its records in the line."""
        self._leave_out(label, records)
        self._odd_of_index(frame_extent(line, frame), records)

    def kept_batch(self, label: str | None, batch: bytes, header: BatchHeader, sent: bytes | None) -> None:
        """Add a batch of which all records are kept. `sent` is the batch that is written."""
        self.records += header.record_count
        self._select(label, header.record_count)
        self._times(self._odd_of_batch(batch, header), header.max_timestamp)
        if sent is not None:
            self.sent(sent)

    def left_out_batch(self, label: str | None, batch: bytes, header: BatchHeader) -> None:
        """Add a batch of which no record is kept."""
        self._leave_out(label, header.record_count)
        self._odd_of_batch(batch, header)

    def record(self, verdict: Verdict, timestamp_ms: int) -> None:
        """Add a record of a batch that was decoded."""
        kind = odd_kind(timestamp_ms, self.captured_ms)
        if kind is not None:
            self.odd[kind] += 1
        if not verdict.is_kept:
            self._leave_out(verdict.label, 1)
            return
        self.records += 1
        self._select(verdict.label, 1)
        self._times(timestamp_ms, timestamp_ms)

    def sent(self, batch: bytes) -> None:
        """Add the bytes of a batch that is written."""
        self.log_bytes += len(batch)
        self._oldest_batch(read_header(batch, 0).max_timestamp)

    def _odd_of_index(self, extent: Extent, records: int) -> None:
        if records == 0:
            return
        kinds = odd_kinds(extent, self.captured_ms)
        if kinds and is_all_odd(extent, self.captured_ms):
            self.odd[kinds[-1]] += records
            return
        self.odd.update(kinds)
        self.has_exact_odd &= extent.min_ms is not None and not kinds

    def _odd_of_batch(self, batch: bytes, header: BatchHeader) -> int:
        """Count the odd times of a batch, and return its smallest one."""
        smallest = smallest_timestamp(batch, header)
        extent = Extent(header.base_offset, header.next_offset, smallest, header.max_timestamp)
        if odd_kinds(extent, self.captured_ms):
            times = (piece.timestamp for piece in read_slices(batch))
            self.odd.update(kind for one in times if (kind := odd_kind(one, self.captured_ms)) is not None)
        return smallest

    def _leave_out(self, label: str | None, records: int) -> None:
        if records:
            self.left_out[label or ""] += records

    def _select(self, label: str | None, records: int) -> None:
        if label is not None and records:
            self.selected[label] += records

    def _times(self, oldest_ms: int | None, newest_ms: int | None) -> None:
        if oldest_ms is not None:
            self.oldest_ms = oldest_ms if self.oldest_ms is None else min(self.oldest_ms, oldest_ms)
        if newest_ms is not None:
            self.newest_ms = newest_ms if self.newest_ms is None else max(self.newest_ms, newest_ms)

    def _oldest_batch(self, time_ms: int) -> None:
        self.oldest_batch_ms = time_ms if self.oldest_batch_ms is None else min(self.oldest_batch_ms, time_ms)
