"""Captures of answers that reach past the planned range."""

from __future__ import annotations

import os
import threading
from contextlib import AbstractContextManager, nullcontext
from typing import cast

from tasks.batches.records import Record, encode_batch
from tasks.broker.log_values import Fetched
from tasks.broker.ports import ClusterAccess
from tasks.engine.backup_steps import capture_bin
from tasks.engine.commit.tiling import tile
from tasks.engine.run_context import ClusterContext
from tasks.repository.compressed_objects import StoredRef
from tasks.repository.fragments import read_fragments
from tasks.repository.plans import Plan, PlannedPartition
from tasks.store.memory.memory_store import MemoryStore
from tests.support.made_backup import make_repository

PLANNED = PlannedPartition(topic="orders", topic_id="A" * 22, partition=0, start=95, end=100)
PLAN = Plan(
    repository_id="r",
    set="s",
    run="run",
    kind="snapshot",
    cluster_id="c",
    planned_ms=1,
    compression="none",
    compression_level=3,
    object_log_bytes=1024,
    fetch_bytes=1 << 20,
    partitions=(PLANNED,),
    bins=((0,),),
    topics=StoredRef(key="", sha256="", stored_bytes=0),
    tool="made",
)


class Serving:
    """A cluster whose leader sends these records for every request."""

    retry_deadline_ms = 1

    def __init__(self, records: bytes) -> None:
        self._records = records

    def reader(self, stop: threading.Event) -> AbstractContextManager[Serving]:
        """Itself."""
        return nullcontext(self)

    def fetcher(self, *, max_bytes: int) -> Serving:
        """Itself."""
        return self

    def send(self, *request: object) -> None:
        """Sends nothing."""

    def receive(self) -> Fetched:
        """Returns all records."""
        return Fetched(partition=PLANNED.source, position=95, records=self._records)


def test_a_batch_that_fills_its_object_and_reaches_past_the_plan_is_the_last_of_its_partition() -> None:
    value = os.urandom(500_000)
    batch = encode_batch([Record(95 + at, 1, None, value) for at in range(10)], codec="none", base_offset=95)
    repository = make_repository(MemoryStore())
    context = ClusterContext(repository=repository, cluster=cast(ClusterAccess, Serving(batch)))

    captured = capture_bin(context, PLAN, 0)

    writers = [(captured.writer, captured.fragments)]
    fragments = read_fragments(repository.store, repository_id="r", set_name="s", run="run", writers=writers)
    [line] = [line for fragment in fragments for line in fragment.lines]
    assert (95, 100) == (line.first, line.next)
    assert [line] == list(tile(PLANNED, [line]).lines)
