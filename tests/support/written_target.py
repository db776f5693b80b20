"""A target cluster that keeps the batches that a restore sends: enough for a replay and its verification."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from struct import pack
from typing import cast

from tasks.broker.log_values import Acknowledged, Fetched, OffsetAnswers, OutgoingBatch
from tasks.broker.ports import ClusterAccess
from tasks.engine.run_context import ClusterContext
from tasks.model.partition import Partition
from tasks.repository.repository import Repository


class WrittenTarget:
    """Log reader, log writer and fetcher in one. Partitions are written in turn, batch by batch, as the real writer
    does. Used by several threads, each for partitions of its own."""

    retry_deadline_ms = 1

    def __init__(self) -> None:
        self._logs: dict[Partition, list[OutgoingBatch]] = {}
        self._lock = threading.Lock()

    def context(self, repository: Repository) -> ClusterContext:
        """The context of a restore into this target."""
        return ClusterContext(repository=repository, cluster=cast(ClusterAccess, self))

    def reader(self, stop: threading.Event) -> AbstractContextManager[WrittenTarget]:
        return nullcontext(self)

    def writer(self, stop: threading.Event) -> AbstractContextManager[WrittenTarget]:
        return nullcontext(self)

    def list_offsets(self, partitions: Collection[Partition], which: str) -> OffsetAnswers:
        return OffsetAnswers(offsets={one: 0 if which == "earliest" else self._end(one) for one in partitions})

    def produce(
        self,
        sources: Mapping[Partition, Iterator[OutgoingBatch]],
        *,
        timeout_ms: int,
        on_acknowledged: Acknowledged,
    ) -> None:
        waiting = dict(sources)
        while waiting:
            for partition, batches in list(waiting.items()):
                batch = next(batches, None)
                if batch is None:
                    del waiting[partition]
                    continue
                assert batch.expected_offset == self._end(partition)
                with self._lock:
                    self._logs.setdefault(partition, []).append(batch)
                on_acknowledged(partition, batch)

    def fetcher(self, *, max_bytes: int) -> _Fetcher:
        return _Fetcher(self._logs)

    def _end(self, partition: Partition) -> int:
        return sum(batch.records for batch in self._logs.get(partition, ()))


class _Fetcher:
    def __init__(self, logs: Mapping[Partition, list[OutgoingBatch]]) -> None:
        self._logs = logs
        self._request: tuple[Partition, int] | None = None

    def send(self, partition: Partition, position: int, last_epoch: int | None) -> None:
        self._request = partition, position

    def receive(self) -> Fetched:
        """The batch that contains the position, with the base offset that a broker would give it."""
        assert self._request is not None
        partition, position = self._request
        batches = self._logs[partition]
        batch = batches[bisect_right([one.expected_offset for one in batches], position) - 1]
        records = pack(">q", batch.expected_offset) + batch.data[8:]
        return Fetched(partition=partition, position=position, records=records)
