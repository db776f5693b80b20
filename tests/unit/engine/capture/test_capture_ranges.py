"""What a capture makes of answers that do not fit the plan's edges."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest

from tasks.batches.header import read_header
from tasks.batches.records import Record, encode_batch
from tasks.broker.log_values import Fetched
from tasks.broker.raw.connection import ConnectionOptions
from tasks.engine.capture import capture_ranges as capture
from tasks.engine.capture.range_reader import Batches
from tasks.engine.commit.tiling import tile
from tasks.repository.fragments import read_fragments
from tasks.repository.plans import Plan, PlannedPartition
from tasks.repository.stored import StoredRef
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


def test_a_batch_that_fills_its_object_and_reaches_past_the_plan_is_its_partitions_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    value = os.urandom(500_000)
    batch = encode_batch([Record(95 + at, 1, None, value) for at in range(10)], codec="none", base_offset=95)

    def read(*given: Any, **how: Any) -> Iterator[Batches]:
        yield Batches(Fetched(partition=PLANNED.source, position=95, records=batch), [(0, read_header(batch, 0))], 100)

    monkeypatch.setattr(capture, "RangeReader", read)
    monkeypatch.setattr(capture, "Cluster", lambda *given, **how: nullcontext())
    monkeypatch.setattr(capture, "Fetcher", lambda *given, **how: None)
    repository = make_repository(MemoryStore())

    captured = capture.capture_bin(repository, PLAN, 0, ConnectionOptions(bootstrap_servers=()), stop=threading.Event())

    writers = [(captured.writer, captured.fragments)]
    fragments = read_fragments(repository.store, repository_id="r", set_name="s", run="run", writers=writers)
    [line] = [line for fragment in fragments for line in fragment.lines]
    assert (95, 100) == (line.first, line.next)
    assert [line] == list(tile(PLANNED, [line]).lines)
