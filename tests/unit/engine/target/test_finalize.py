"""What the records of earlier restores say to the next one, and to `finalize`."""

from __future__ import annotations

import pytest

from tasks.engine.target.finalize import positions_are_missing
from tasks.engine.target.unfinished_restores import UnfinishedRestores
from tasks.repository.names import restore_key
from tasks.repository.restores import RestorePlan, StepDone, TopicCopy, record_step, write_part
from tasks.store.memory.memory_store import MemoryStore
from tests.support.made_backup import make_repository

STAGING = {"retention.ms": "-1", "cleanup.policy": "delete"}
ORIGINAL = {"retention.ms": "3600000", "cleanup.policy": "compact,delete"}


def _plan(restore: str, *, deferred: tuple[str, ...] = (), **options: object) -> RestorePlan:
    topic = TopicCopy(
        topic="orders",
        topic_id="source",
        target="orders",
        partitions=1,
        replication_factor=1,
        exists=True,
        target_id="id",
        settings=ORIGINAL,
        staging=STAGING,
        original=ORIGINAL,
        deferred=deferred,
    )
    return RestorePlan(
        repository_id="repository",
        restore=restore,
        set="set",
        point=1,
        created_ms=1,
        cluster_id="cluster",
        options=options,
        regroup_bytes=1,
        topics=(topic,),
        partitions=(),
        bins=(),
        tool="made",
    )


def _original(store: MemoryStore, **own: str) -> dict[str, str]:
    named = {name.replace("_", "."): value for name, value in own.items()}
    return dict(UnfinishedRestores.read(store).original_settings("orders", "id", named))


def test_of_a_topic_that_a_dead_restore_staged_each_setting_is_the_one_before_or_what_was_set_since() -> None:
    store = MemoryStore()
    write_part(store, "1", "plan", _plan("1"))

    assert ORIGINAL == _original(store, retention_ms="-1", cleanup_policy="delete")
    assert {"retention.ms": "5"} == _original(store, retention_ms="5")
    assert {**ORIGINAL, "retention.ms": "5"} == _original(store, retention_ms="5", cleanup_policy="delete")
    assert {"flush.ms": "7", "retention.ms": "3600000"} == _original(store, retention_ms="-1", flush_ms="7")


def test_a_policy_that_waits_for_finalize_is_not_taken_for_somebodys_choice() -> None:
    store = MemoryStore()
    write_part(store, "1", "plan", _plan("1", deferred=("retention.ms", "cleanup.policy")))

    assert ORIGINAL == _original(store, retention_ms="-1", cleanup_policy="compact")


def test_a_restore_whose_record_is_damaged_stands_in_nobodys_way() -> None:
    store = MemoryStore()
    store.put(restore_key("0", "plan"), [b"{broken"])
    write_part(store, "1", "plan", _plan("1"))

    assert ORIGINAL == _original(store, retention_ms="-1", cleanup_policy="delete")


@pytest.mark.parametrize("is_asked_for", [True, False])
def test_positions_that_were_asked_for_and_never_written_are_told_of(is_asked_for: bool) -> None:
    repository = make_repository(MemoryStore())
    write_part(repository.store, "1", "plan", _plan("1", reset_consumer_offsets=is_asked_for))

    assert is_asked_for == positions_are_missing(repository, "1")
    record_step(repository.store, StepDone(restore="1", step="groups", time_ms=1, report={}))
    assert not positions_are_missing(repository, "1")
