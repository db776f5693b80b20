"""A failure to read a target is raised and is not a mismatch."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, nullcontext
from typing import cast

import pytest

from tasks.broker.log_values import OffsetAnswers
from tasks.broker.ports import ClusterAccess
from tasks.engine.replay.verify import Mismatch, verify_counts
from tasks.engine.run_context import ClusterContext
from tasks.engine.started_restore import StartedRestore
from tasks.model.errors import AccessError, BrokerUnavailableError, KafkaBackupError, TopicGoneError
from tasks.model.partition import Partition
from tasks.repository.frame_reader import FrameReader
from tasks.repository.restores import PartitionCopy, RestorePlan, TargetPartition, Targets
from tasks.store.memory.memory_store import MemoryStore
from tests.support.made_backup import make_repository

TARGET = Partition("copy", "id", 0)
COPY = PartitionCopy(
    topic="orders", topic_id="id", partition=0, target_topic="copy", target_partition=0, records=3, log_bytes=9
)
PLAN = RestorePlan(
    repository_id="repository",
    restore="r",
    set="set",
    point=1,
    created_ms=1,
    cluster_id="cluster",
    options={},
    regroup_bytes=1,
    topics=(),
    partitions=(COPY,),
    bins=((0,),),
    tool="made",
)
TARGETS = Targets(
    restore="r",
    producer_id=1,
    producer_epoch=0,
    partitions=(TargetPartition(topic="copy", topic_id="id", partition=0, base=0),),
)


class Failing:
    """A cluster that returns this failure for the target."""

    retry_deadline_ms = 1

    def __init__(self, failure: KafkaBackupError) -> None:
        self._failure = failure

    def reader(self, stop: threading.Event) -> AbstractContextManager[Failing]:
        """Itself."""
        return nullcontext(self)

    def list_offsets(self, partitions: object, which: str) -> OffsetAnswers:
        """Returns the failure."""
        return OffsetAnswers(failures={TARGET: self._failure})

    def fetcher(self, *, max_bytes: int) -> None:
        """Nothing is fetched."""


def _verified(failure: KafkaBackupError) -> list[Mismatch]:
    repository = make_repository(MemoryStore())
    context = ClusterContext(repository=repository, cluster=cast(ClusterAccess, Failing(failure)))
    started = StartedRestore(plan=PLAN, lines={}, groups=None, reader=FrameReader(repository.store))
    return verify_counts(context, started, TARGETS)


@pytest.mark.parametrize("failure", [BrokerUnavailableError("no leader"), AccessError("not allowed")], ids=type)
def test_a_failure_of_the_broker_is_raised_and_is_not_a_mismatch(failure: KafkaBackupError) -> None:
    with pytest.raises(type(failure)):
        _verified(failure)


def test_a_deleted_target_is_a_mismatch() -> None:
    assert [Mismatch(TARGET, "it was deleted")] == _verified(TopicGoneError("it was deleted"))
