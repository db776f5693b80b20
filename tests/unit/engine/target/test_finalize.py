"""What the next restore, and `finalize`, read of earlier restores."""

from __future__ import annotations

import pytest

from tasks.engine.target.finalize import unwritten_positions
from tasks.engine.target.unfinished_restores import UnfinishedRestores
from tasks.repository.names import restore_key
from tasks.repository.repository import Repository
from tasks.repository.restores import (
    RestorePlan,
    StepDone,
    TopicCopy,
    read_part,
    read_restore_plan,
    record_step,
    write_part,
)
from tasks.store.memory.memory_store import MemoryStore
from tests.support.made_backup import make_repository

STAGING = {"retention.ms": "-1", "cleanup.policy": "delete"}
ORIGINAL = {"retention.ms": "3600000", "cleanup.policy": "compact,delete"}


def _unwritten(repository: Repository) -> str | None:
    plan = read_restore_plan(repository.store, "1")
    return unwritten_positions(plan, read_part(repository.store, "1", "groups", StepDone))


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


def _original(store: MemoryStore, **settings: str) -> dict[str, str]:
    named = {name.replace("_", "."): value for name, value in settings.items()}
    return dict(UnfinishedRestores.read(store).original_settings("orders", "id", named))


def test_settings_that_a_dead_restore_staged_are_replaced_by_the_original_ones_and_changed_settings_are_kept() -> None:
    store = MemoryStore()
    write_part(store, "1", "plan", _plan("1"))

    assert ORIGINAL == _original(store, retention_ms="-1", cleanup_policy="delete")
    assert {"retention.ms": "5"} == _original(store, retention_ms="5")
    assert {**ORIGINAL, "retention.ms": "5"} == _original(store, retention_ms="5", cleanup_policy="delete")
    assert {"flush.ms": "7", "retention.ms": "3600000"} == _original(store, retention_ms="-1", flush_ms="7")


def test_a_policy_that_waits_for_finalize_is_replaced_by_the_original_one() -> None:
    store = MemoryStore()
    write_part(store, "1", "plan", _plan("1", deferred=("retention.ms", "cleanup.policy")))

    assert ORIGINAL == _original(store, retention_ms="-1", cleanup_policy="compact")


def test_a_restore_with_a_damaged_plan_is_left_out() -> None:
    store = MemoryStore()
    store.put(restore_key("0", "plan"), [b"{broken"])
    write_part(store, "1", "plan", _plan("1"))

    assert ORIGINAL == _original(store, retention_ms="-1", cleanup_policy="delete")


def _groups_step(*failures: str | None) -> StepDone:
    positions = [{"group": "two\nlines", "failure": failure} for failure in failures]
    return StepDone(restore="1", step="groups", time_ms=1, report={"positions": positions})


@pytest.mark.parametrize("is_configured", [True, False])
def test_positions_that_were_configured_and_not_written_are_reported(is_configured: bool) -> None:
    repository = make_repository(MemoryStore())
    write_part(repository.store, "1", "plan", _plan("1", reset_consumer_offsets=is_configured))

    assert is_configured == ("ended before it wrote" in (_unwritten(repository) or ""))
    record_step(repository.store, _groups_step(None, None))
    assert None is _unwritten(repository)


@pytest.mark.parametrize("is_configured", [True, False])
def test_positions_that_failed_are_reported_with_their_number_and_the_first(is_configured: bool) -> None:
    repository = make_repository(MemoryStore())
    write_part(repository.store, "1", "plan", _plan("1", reset_consumer_offsets=is_configured))
    record_step(repository.store, _groups_step(None, "the brokers did not answer", "gone"))

    expected = (
        "Restore 1 could not write or confirm 2 of 3 group positions. Check them, and set them before consumers start. "
        'First: group "two\\nlines": the brokers did not answer'
    )
    assert (expected if is_configured else None) == _unwritten(repository)
