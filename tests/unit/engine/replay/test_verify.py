"""What keeps a verification from looking is no verdict on the records."""

from __future__ import annotations

import threading
from contextlib import nullcontext

import pytest

from tasks.broker.log_values import OffsetAnswers
from tasks.broker.raw.connection import ConnectionOptions
from tasks.engine.replay import verify
from tasks.model.errors import AccessError, BrokerUnavailableError, KafkaBackupError, TopicGoneError
from tasks.model.partition import Partition
from tasks.repository.frame_reader import FrameReader
from tasks.repository.restores import PartitionCopy, RestorePlan, TargetPartition, Targets
from tasks.store.memory.memory_store import MemoryStore

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


def _verified(monkeypatch: pytest.MonkeyPatch, failure: KafkaBackupError) -> list[verify.Mismatch]:
    answers = OffsetAnswers(failures={TARGET: failure})
    monkeypatch.setattr(verify, "Cluster", lambda *given, **how: nullcontext())
    monkeypatch.setattr(verify, "Fetcher", lambda *given, **how: None)
    monkeypatch.setattr(verify, "list_offsets", lambda *asked: answers)
    connection = ConnectionOptions(bootstrap_servers=())
    reader = FrameReader(MemoryStore())
    return verify.verify_counts(reader, PLAN, TARGETS, {}, connection, stop=threading.Event())


@pytest.mark.parametrize("trouble", [BrokerUnavailableError("no leader"), AccessError("not allowed")], ids=type)
def test_trouble_with_the_broker_is_raised_and_no_mismatch(
    monkeypatch: pytest.MonkeyPatch, trouble: KafkaBackupError
) -> None:
    with pytest.raises(type(trouble)):
        _verified(monkeypatch, trouble)


def test_a_target_that_has_gone_is_a_mismatch(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [verify.Mismatch(TARGET, "it was deleted")] == _verified(monkeypatch, TopicGoneError("it was deleted"))
