"""A restore of a repository that cannot be written to: refused before anything is made, or its state is elsewhere."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tasks.engine.restore import RestoreResult, restore_locally
from tasks.engine.run_context import ClusterContext
from tasks.engine.target.finalize import finalize_restore
from tasks.engine.target.unfinished_restores import UnfinishedRestores
from tasks.engine.validate import validate_locally
from tasks.model.errors import AccessError, KafkaBackupError, StoreFullError
from tasks.repository.points import PointReference
from tasks.repository.restores import restore_ids
from tasks.store.memory.memory_store import MemoryStore
from tasks.store.protocol import Body, ObjectInfo
from tests.simulation.rules.small_world import DAY_MS, SET, SmallWorld

OLD_RECORDS = {"retention.ms": str(DAY_MS)}


class SealableStore(MemoryStore):
    """A store that refuses every write once `problem` is set."""

    problem: KafkaBackupError | None = None

    def put_if_absent(self, key: str, body: Body, *, sha256: str) -> ObjectInfo:
        self._refuse()
        return super().put_if_absent(key, body, sha256=sha256)

    def put(self, key: str, body: Body) -> ObjectInfo:
        self._refuse()
        return super().put(key, body)

    def compare_and_swap(self, key: str, body: Body, *, expected: str | None) -> ObjectInfo:
        self._refuse()
        return super().compare_and_swap(key, body, expected=expected)

    def _refuse(self) -> None:
        if self.problem is not None:
            raise self.problem


@pytest.fixture(params=[AccessError("read-only"), StoreFullError("no space")], ids=["read-only", "full"])
def world(request: pytest.FixtureRequest) -> SmallWorld:
    """A backed-up topic whose repository cannot be written to any more."""
    store = SealableStore("sealable")
    made = SmallWorld(store=store)
    made.topic(configs=OLD_RECORDS)
    made.send(age_ms=3 * DAY_MS)
    made.back_up()
    store.problem = request.param
    return made


def _restore(world: SmallWorld, state: MemoryStore) -> tuple[ClusterContext, RestoreResult]:
    context = world.context(world.target)
    context = replace(context, repository=replace(context.repository, restore_store=state))
    return context, restore_locally(context, PointReference(SET), world.restore_request(), workers=1)


def test_the_restore_says_before_anything_is_made_that_its_state_needs_a_place(world: SmallWorld) -> None:
    with pytest.raises((AccessError, StoreFullError), match=r"Nothing was changed\. .* with --state DIR") as refused:
        world.restore()

    assert "memory://sealable cannot be written to" in str(refused.value)
    assert {} == dict(world.target.topics.by_name)
    assert [] == world.restores()


def test_the_records_of_the_restore_are_in_the_other_place_and_the_restore_is_whole(world: SmallWorld) -> None:
    state = MemoryStore("state")

    _, result = _restore(world, state)

    assert [] == list(result.mismatches)
    assert 20 == len(world.contents("copy"))
    assert [result.plan.restore] == restore_ids(state)
    assert [] == world.restores()


def test_it_is_finalized_from_there_though_the_log_of_the_set_cannot_be_written(world: SmallWorld) -> None:
    context, result = _restore(world, MemoryStore("state"))
    assert ["copy"] == list(result.deferred)

    with context.admin() as admin:
        assert ["copy"] == [topic.target for topic in finalize_restore(context.repository, result.plan.restore, admin)]
        assert [] == finalize_restore(context.repository, result.plan.restore, admin)


def test_a_setting_that_an_operator_changed_after_the_restore_is_kept_by_finalize() -> None:
    world = SmallWorld()
    world.topic(configs={**OLD_RECORDS, "flush.ms": "7"})
    world.send(age_ms=3 * DAY_MS)
    world.back_up()
    world.topic("copy", records=0, cluster=world.target, configs={"flush.ms": "9"})
    context, result = _restore(world, MemoryStore("state"))
    world.target.topics.by_name["copy"].settings.own = {"retention.ms": "-1", "flush.ms": "3"}

    with context.admin() as admin:
        finalize_restore(context.repository, result.plan.restore, admin)

    assert {**OLD_RECORDS, "flush.ms": "3"} == world.own_settings("copy")


def test_the_point_is_validated_and_previewed_without_a_pin(world: SmallWorld) -> None:
    result = validate_locally(world.context(world.source), PointReference(SET), level="full")

    assert () == result.findings
    assert not result.is_pinned
    assert 1 == len(world.preview().plan.partitions)


def test_settings_that_such_a_restore_staged_are_known_to_the_next_one(world: SmallWorld) -> None:
    state = MemoryStore("state")
    _restore(world, state)
    topic, staged = world.target.topics.by_name["copy"].topic_id, {"retention.ms": "-1"}

    assert OLD_RECORDS == UnfinishedRestores.read(world.store, state).original_settings("copy", topic, staged)
    assert staged == UnfinishedRestores.read(world.store).original_settings("copy", topic, staged)
