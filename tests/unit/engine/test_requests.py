"""The number of requests of a restore. It does not grow with the number of workers or of earlier restores."""

from __future__ import annotations

import threading

import pytest

from tasks.engine.replay.replay import replay_bin
from tasks.engine.replay.verify import verify_counts
from tasks.engine.started_restore import StartedRestore
from tasks.engine.target.unfinished_restores import UnfinishedRestores
from tasks.engine.workers import run_all
from tasks.repository.frame_reader import FrameReader
from tasks.repository.points import PointReference
from tasks.repository.repository import Repository
from tasks.repository.restores import PartitionCopy, RestorePlan, TargetPartition, Targets, TopicCopy, write_part
from tasks.store.memory.memory_store import MemoryStore
from tests.support.counting_store import CountingStore
from tests.support.made_backup import SET, capture_logs, commit_logs, make_repository, plan_logs
from tests.support.made_logs import plain_log
from tests.support.written_target import WrittenTarget

OBJECTS = 12
PARTITIONS_EACH = 20


@pytest.fixture(scope="module")
def packed() -> MemoryStore:
    """A point of 240 partitions in 12 packed objects."""
    store = MemoryStore("packed")
    repository = make_repository(store)
    logs = [plain_log("small", number, batches=3) for number in range(OBJECTS * PARTITIONS_EACH)]
    plan = plan_logs(repository, logs).model_copy(update={"bins": _bins()})
    point = commit_logs(repository, plan, capture_logs(repository, plan, logs))
    assert OBJECTS == point.totals.objects
    return store


@pytest.mark.parametrize("workers", [1, 2, 4, 8])
def test_a_restore_of_12_packed_objects_takes_12_requests_for_data(packed: MemoryStore, workers: int) -> None:
    """For replay and verification together, and for any number of workers."""
    counting = CountingStore(packed)
    repository, target = make_repository(counting), WrittenTarget()
    started, targets = _started(repository)
    context = target.context(repository)
    run_all(
        lambda number: replay_bin(context, started, targets, number),
        range(len(started.plan.bins)),
        workers,
        threading.Event(),
    )
    assert [] == verify_counts(context, started, targets)
    assert OBJECTS == counting.count("get", "data/") == counting.count(prefix="data/")


def test_a_verification_alone_takes_one_request_for_each_packed_object(
    packed: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if the cache has room for one object only."""
    monkeypatch.setattr("tasks.repository.object_cache.ObjectCache._capacity", lambda cache: 1)
    counting = CountingStore(packed)
    repository, target = make_repository(counting), WrittenTarget()
    started, targets = _started(repository)
    context = target.context(repository)
    for number in range(len(started.plan.bins)):
        replay_bin(context, started, targets, number)
    before = counting.count(prefix="data/")
    assert [] == verify_counts(context, started, targets)
    assert OBJECTS == counting.count(prefix="data/") - before


@pytest.mark.parametrize("topics", [1, 100])
def test_fifty_earlier_restores_are_read_once_for_all_topics(topics: int) -> None:
    """One listing and four requests for each unfinished restore, for one topic as well as for a hundred."""
    store = MemoryStore()
    for number in range(50):
        write_part(store, f"r{number:02d}", "plan", _unfinished(f"r{number:02d}", topics))
    counting = CountingStore(store)
    unfinished = UnfinishedRestores.read(counting)
    for number in range(topics):
        assert {"retention.ms": "7"} == unfinished.original_settings(f"topic-{number}", "id", {"retention.ms": "-1"})
    assert 1 == counting.count("list")
    assert 50 * 4 == counting.count("get")


def _bins() -> tuple[tuple[int, ...], ...]:
    """The partitions of each object. Neighbours in the plan are in different objects."""
    return tuple(tuple(range(number, OBJECTS * PARTITIONS_EACH, OBJECTS)) for number in range(OBJECTS))


def _started(repository: Repository) -> tuple[StartedRestore, Targets]:
    """A restore of all partitions whose bins follow the packed objects, as a drafted plan does."""
    point = repository.point(PointReference(SET))
    sources = sorted(point.rows)
    lines = point.lines(point.rows.values())
    plan = RestorePlan(
        repository_id=repository.root.repository_id,
        restore="r",
        set=SET,
        point=point.seq,
        created_ms=1,
        cluster_id="other",
        options={},
        regroup_bytes=1 << 20,
        topics=(),
        partitions=tuple(
            PartitionCopy(
                **source._asdict(),
                target_topic="copy",
                target_partition=source.partition,
                records=sum(line.records for line in lines[source]),
                log_bytes=sum(line.log_bytes for line in lines[source]),
            )
            for source in sources
        ),
        bins=_bins(),
        tool="made",
    )
    targets = Targets(
        restore="r",
        producer_id=1,
        producer_epoch=0,
        partitions=tuple(
            TargetPartition(topic="copy", topic_id="id", partition=source.partition, base=0) for source in sources
        ),
    )
    return StartedRestore(plan=plan, lines=lines, groups=None, reader=FrameReader(repository.store)), targets


def _unfinished(restore: str, topics: int) -> RestorePlan:
    """A restore that staged existing topics and died."""
    return RestorePlan(
        repository_id="r",
        restore=restore,
        set=SET,
        point=1,
        created_ms=1,
        cluster_id="other",
        options={},
        regroup_bytes=1,
        topics=tuple(
            TopicCopy(
                topic=f"topic-{number}",
                topic_id="source",
                target=f"topic-{number}",
                partitions=1,
                replication_factor=1,
                exists=True,
                target_id="id",
                settings={},
                staging={"retention.ms": "-1"},
                original={"retention.ms": "7"},
            )
            for number in range(topics)
        ),
        partitions=(),
        bins=(),
        tool="made",
    )
