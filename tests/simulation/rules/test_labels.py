"""Labels: a run gives its point the labels of its own plan, they can be changed at any later time, and the policy can
keep points by them."""

from __future__ import annotations

import threading

import pytest

from tasks.engine.consolidate import consolidate_locally
from tasks.engine.consolidation.candidates import LEAST_OBJECTS
from tasks.engine.continuous import CycleReports, back_up_continuously
from tasks.engine.freeze import freeze_repository, thaw_repository
from tasks.engine.labels import change_labels
from tasks.engine.options import RetentionPolicy
from tasks.engine.prune import change_points, plan_prune, prune_locally
from tasks.engine.snapshot import snapshot_locally
from tasks.model.errors import ConfigError, NotFoundError, PreconditionError, RefusedError
from tasks.repository.names import log_key
from tasks.repository.repository import Repository
from tasks.store.memory.memory_store import MemoryStore
from tests.simulation.kafka.faults import Step
from tests.simulation.rules.small_world import DAY_MS, SET, SmallWorld
from tests.support.faults import Crashed

POLICY = RetentionPolicy(keep_last=1, keep_tag=("release",))


@pytest.fixture
def world() -> SmallWorld:
    """A world whose store has the simulated clock too."""
    made = SmallWorld()
    made.store = MemoryStore("rules", now_ms=made.clock.now_ms)
    return made


def _labels(world: SmallWorld) -> dict[int, dict[str, str]]:
    state = world.repository.state(SET)
    points = {**state.points, **{seq: one.point for seq, one in state.expired.items()}}
    return {seq: point.labels for seq, point in sorted(points.items())}


def test_snapshots_incremental_runs_and_each_point_of_a_continuous_backup_get_the_labels(world: SmallWorld) -> None:
    world.topic()
    world.back_up(labels={"release": "1"})
    world.send(records=3)
    world.back_up_changes(labels={"release": "2", "env": "prod"})
    ending, changes = threading.Event(), iter([True, False])

    def committed(_: object) -> None:
        world.send(records=3)
        if not next(changes):
            ending.set()

    world.send(records=3)
    request = world.request(labels={"stream": "yes"})
    reports = CycleReports(committed=committed)
    back_up_continuously(world.context(world.source), request, cycle_ms=1, ending=ending, workers=1, reports=reports)

    stream = {"stream": "yes"}
    assert [{"release": "1"}, {"release": "2", "env": "prod"}, stream, stream] == list(_labels(world).values())
    assert {"release": "1"} == world.point(1).entry.labels


def test_a_point_without_labels_is_stored_as_before_there_were_labels(world: SmallWorld) -> None:
    world.topic()
    point = world.back_up()

    assert b'"labels"' not in world.store.get(log_key(SET, point.seq))[0]
    assert "labels" not in world.repository.state(SET).points[point.seq].to_json()


def test_the_point_of_a_dead_run_has_the_labels_of_its_own_plan(world: SmallWorld) -> None:
    """The run that finishes it has other labels, which are those of its own point."""
    world.topic(records=300)

    def strike(step: Step) -> None:
        if step.call == "fetcher.receive" and step.has_happened and list(world.store.list("fragments/")):
            raise Crashed("the process died")

    context = world.context(world.source)
    world.source.interceptor = strike
    options = {"segment_max_bytes": 1 << 10, "max_concurrent_partitions": 1}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tasks.engine.capture.segment.FRAME_LOG_BYTES", 300)
        patch.setattr("tasks.engine.capture.segment.FULL_ENOUGH_BYTES", 200)
        with pytest.raises(Crashed):
            snapshot_locally(context, world.request(**options, labels={"release": "1"}), workers=1)
    world.clock.advance(60_000)

    world.back_up_changes(labels={"release": "2"})

    assert [{"release": "1"}, {"release": "2"}] == list(_labels(world).values())


def test_a_consolidated_point_has_no_labels_because_they_name_the_point_before_it(world: SmallWorld) -> None:
    world.topic()
    for _ in range(LEAST_OBJECTS):
        world.send(records=3)
        last = world.back_up_changes(labels={"release": "1"})

    done = consolidate_locally(world.context(world.source), SET, workers=1)

    assert done is not None
    labels = _labels(world)
    assert ({"release": "1"}, {}) == (labels[last.seq], labels[done.after.seq])


def test_labels_are_changed_by_entries_that_every_reader_folds_also_with_a_checkpoint(
    world: SmallWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.repository.hints.CHECKPOINT_EVERY", 2)
    world.topic()
    first, second = world.back_up(labels={"a": "1", "b": "1"}).seq, world.back_up().seq

    assert {"b": "2", "c": "3"} == change_labels(world.repository, SET, first, {"b": "2", "c": "3"}, ["a"])
    change_labels(world.repository, SET, second, {"d": "4"}, [])

    assert {first: {"b": "2", "c": "3"}, second: {"d": "4"}} == _labels(world)
    log = world.repository.log(SET).without_memory()
    assert {first: {"b": "2", "c": "3"}, second: {"d": "4"}} == {
        seq: point.labels for seq, point in log.state().points.items()
    }
    assert {"a": "1", "b": "1"} == world.point(first).entry.labels, "the entry of the point never changes"


def test_labels_that_a_point_has_already_need_no_entry(world: SmallWorld) -> None:
    world.topic()
    point = world.back_up(labels={"a": "1"})

    assert {"a": "1"} == change_labels(world.repository, SET, point.seq, {"a": "1"}, [])

    assert point.seq == world.repository.state(SET).seq


def test_two_writers_cannot_give_a_point_too_many_labels(world: SmallWorld) -> None:
    """Each of them alone is within the limit."""
    world.topic()
    seq = world.back_up().seq
    late = Repository.open(world.store, world.clock.now_ms)
    late.state(SET)
    change_labels(world.repository, SET, seq, {f"a{number}": "1" for number in range(20)}, [])

    with pytest.raises(ConfigError, match=r"at most 32 labels\. These are 40"):
        change_labels(late, SET, seq, {f"b{number}": "1" for number in range(20)}, [])
    assert 20 == len(_labels(world)[seq])


def test_a_label_that_the_policy_names_keeps_its_point_and_one_that_goes_lets_it_go(world: SmallWorld) -> None:
    world.topic()
    seqs = [world.back_up(labels=labels).seq for labels in ({"release": "1"}, {"env": "test"}, {})]

    plan = plan_prune(world.context(world.source), SET, POLICY)
    assert (("tag release=1",), (seqs[1],)) == (plan.kept[seqs[0]], plan.expire)
    prune_locally(world.context(world.source), SET, POLICY)
    assert {"env": "test"} == _labels(world)[seqs[1]], "an expired point has labels too"

    change_labels(world.repository, SET, seqs[0], {}, ["release"])
    assert (seqs[0],) == plan_prune(world.context(world.source), SET, POLICY).expire


def test_an_expired_point_that_gets_such_a_label_is_not_removed(world: SmallWorld) -> None:
    world.topic()
    first, _ = world.back_up().seq, world.back_up()
    prune_locally(world.context(world.source), SET, POLICY)

    change_labels(world.repository, SET, first, {"release": "1"}, [])
    world.clock.advance(3 * DAY_MS)
    prune_locally(world.context(world.source), SET, POLICY)

    assert [first] == list(world.repository.state(SET).expired)
    change_labels(world.repository, SET, first, {}, ["release"])
    prune_locally(world.context(world.source), SET, POLICY)
    with pytest.raises(NotFoundError):
        change_labels(world.repository, SET, first, {"release": "1"}, [])


def test_a_label_between_the_plan_and_its_execution_stops_the_prune(world: SmallWorld) -> None:
    world.topic()
    first, _ = world.back_up().seq, world.back_up()
    plan = plan_prune(world.context(world.source), SET, POLICY)
    change_labels(world.repository, SET, first, {"release": "1"}, [])

    with pytest.raises(PreconditionError, match=f"Point {first} got the label release=1 since the plan"):
        change_points(world.repository, plan)
    assert first in world.repository.state(SET).points


def test_the_policy_of_an_expiry_is_in_the_log_with_its_labels(world: SmallWorld) -> None:
    world.topic()
    world.back_up(), world.back_up()

    prune_locally(world.context(world.source), SET, POLICY)

    [expire] = [entry for entry in world.repository.log(SET).entries() if entry.kind == "expire"]
    assert ["release"] == expire.to_json()["policy"]["keep_tag"]


def test_while_the_repository_is_frozen_labels_are_added_and_none_is_taken_away(world: SmallWorld) -> None:
    world.topic()
    seq = world.back_up(labels={"env": "prod"}).seq
    freeze_repository(world.context(world.source), reason="incident", by="ops")

    assert {"env": "prod", "incident": "7"} == change_labels(world.repository, SET, seq, {"incident": "7"}, [])
    for labels, removed in (({"env": "test"}, []), ({}, ["env"])):
        with pytest.raises(RefusedError, match="no hold, label or mark is taken away"):
            change_labels(world.repository, SET, seq, labels, removed)

    thaw_repository(world.repository, reason="over", by="ops")
    assert {"env": "test"} == change_labels(world.repository, SET, seq, {"env": "test"}, ["incident"])
