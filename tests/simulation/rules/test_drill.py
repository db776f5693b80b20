"""Restore drills: what is restored is compared, planted faults are found, and exactly what the drill made is gone."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tasks.broker.admin_values import CommittedOffset, NewTopicSpec
from tasks.engine import drill as drill_module
from tasks.engine import drill_steps
from tasks.engine.drill import drill_locally, keep_evidence
from tasks.engine.drilling import clean_up as clean_up_module
from tasks.engine.drilling.drill_result import DrillResult
from tasks.engine.drilling.left_drills import clean_left_drills
from tasks.engine.evidence.report import Unknown
from tasks.engine.evidence.store_evidence import ObjectLock
from tasks.engine.options import DrillOptions, EvidenceOptions, RetentionPolicy
from tasks.engine.positions.translate import TranslatedPosition
from tasks.engine.prune import prune_locally
from tasks.engine.scratch_names import SCRATCH, scratch_name
from tasks.engine.started_restore import StartedRestore
from tasks.model.errors import InterruptedRunError, KafkaBackupError, LockedError, NotFoundError, RefusedError
from tasks.repository.drills import DrillRecord, find_drill, forget_drill, left_drills
from tasks.repository.names import new_run_id
from tasks.repository.restores import Targets
from tasks.store.memory.memory_store import MemoryStore
from tests.simulation.rules.small_world import HOUR_MS, SET, SmallWorld
from tests.support.faults import Crashed, FaultyStore


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clean_up_module, "PAUSE_S", 0.0)
    monkeypatch.setattr(clean_up_module, "PAUSE_AFTER_RETURN_S", 0.0)


@pytest.fixture
def world() -> SmallWorld:
    """Two topics with records, aborted transactions and settings, a group, and a topic of somebody else."""
    made = SmallWorld()
    made.store = MemoryStore("rules", now_ms=made.clock.now_ms)
    made.topic(partitions=2, records=12, configs={"retention.ms": "123456789", "max.message.bytes": "2000000"})
    made.topic("bills", records=3)
    producer = made.source.transactional_producer()
    producer.send(("orders", 0), made.records(4))
    producer.abort()
    made.send(("orders", 0), 5)
    made.commit("billing", {("orders", 0): 7, ("orders", 1): 12, ("bills", 0): 0})
    made.back_up()
    made.topic("live", records=2, cluster=made.target)
    return made


def _drill(world: SmallWorld, *, stop: threading.Event | None = None, **options: Any) -> DrillResult:
    context = world.context(world.target)
    if stop is not None:
        context = replace(context, stop=stop)
    now_ms = world.clock.now_ms()
    return drill_locally(
        context,
        SET,
        DrillOptions.model_validate({"max_concurrent_partitions": 1, **options}),
        drill=new_run_id(now_ms),
        requested_ms=now_ms,
    )


def _topics(world: SmallWorld) -> set[str]:
    return {name for name in world.target.topics.by_name if not name.startswith("__")}


def _assert_clean(world: SmallWorld) -> None:
    """Nothing of a drill is left, neither on the cluster nor in the repository, and what is not of it is there."""
    assert {"live"} == _topics(world)
    assert 2 == len(world.contents("live"))
    with world.admin() as admin:
        assert [] == [group.group_id for group in admin.list_groups()]
    folders = ("restores/", "leases/_restore", "pins/")
    assert [] == [info.key for prefix in folders for info in world.store.list(prefix)]


def test_a_drill_restores_compares_everything_and_leaves_nothing(world: SmallWorld) -> None:
    result = _drill(world)

    assert ("passed", ()) == (result.verdict, result.failures)
    counts = {str(one.source): (one.expected_records, one.found_records) for one in result.partitions}
    assert {"orders-0": (17, 17), "orders-1": (12, 12), "bills-0": (3, 3)} == counts
    assert all(one.expected_digest == one.found_digest is not None for one in result.partitions)
    assert {"orders": 2, "bills": 0} == {one.topic: one.compared for one in result.settings}
    assert [("billing", 3)] == [(one.group, one.positions) for one in result.groups]
    assert result.clean_up is not None
    assert 2 == len(result.clean_up.topics)
    assert all(SCRATCH in name for name in (*result.clean_up.topics, *result.clean_up.groups))
    times = result.times
    steps = (times.started_ms, times.first_record_ms, times.data_complete_ms, times.groups_ready_ms, times.verified_ms)
    assert None not in steps
    assert sorted(steps) == list(steps)  # type: ignore[type-var]
    _assert_clean(world)


def test_a_report_of_the_drill_is_kept_and_a_backup_goes_on_after_it(world: SmallWorld) -> None:
    options = DrillOptions(every="7d", evidence=EvidenceOptions(ticket="CHG-7"))
    result = _drill(world)

    stored = keep_evidence(world.repository, result, options, None)

    assert keep_evidence(world.repository, result, options, None) == stored, "a repetition stores nothing new"
    assert "CHG-7" == stored.report.who.ticket
    assert "passed" == stored.report.result.verdict
    assert len(stored.keys) == len(list(world.store.list("reports/")))
    world.clock.advance(HOUR_MS)
    world.back_up()
    world.assert_valid()


def test_a_selection_a_share_and_an_older_point_are_drilled_as_asked(world: SmallWorld) -> None:
    world.clock.advance(HOUR_MS)
    world.send(("bills", 0), 4)
    world.back_up()

    result = _drill(world, point="oldest", topics={"include": ["bills"]}, compare="counts", rpo="1s")

    assert (("bills",), {"orders": "not selected"}) == (result.data.topics, result.data.excluded)
    assert [(3, 3, 0)] == [(one.expected_records, one.found_records, one.compared_records) for one in result.partitions]
    assert "the oldest of 2 points" == result.data.choice
    assert result.verdict == "passed"


def test_a_missed_objective_fails_the_drill(world: SmallWorld) -> None:
    world.clock.advance(2 * HOUR_MS)

    result = _drill(world, rpo="1h")

    assert ("objective RPO was missed",) == result.failures
    assert "passed" == _drill(world, rpo="3h").verdict


def test_a_set_that_does_not_exist_is_an_error_and_makes_nothing(world: SmallWorld) -> None:
    with pytest.raises(NotFoundError):
        drill_locally(world.context(world.target), "other", DrillOptions(), drill=new_run_id(1), requested_ms=1)
    _assert_clean(world)


def _after(module: Any, name: str, act: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Change the result of a function of the drill."""
    original = getattr(module, name)
    monkeypatch.setattr(module, name, lambda *args, **kwargs: act(original(*args, **kwargs)))


def test_partitions_that_were_never_restored_are_found(world: SmallWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.engine.drill.replay_bin", lambda context, started, targets, number: None)

    result = _drill(world)

    assert {"bills-0", "orders-0", "orders-1"} == {str(one.source) for one in result.partitions if one.problem}
    assert "failed" == result.verdict
    _assert_clean(world)


def test_a_record_too_many_and_a_missing_one_are_found(world: SmallWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    original: Callable[..., Any] = vars(drill_steps)["compare_with"]

    def compare(reader: Any, context: Any, started: StartedRestore, copy: Any, target: Any, *how: Any) -> Any:
        if (copy.topic, copy.partition) == ("bills", 0):
            world.send((target.topic, 0), 1, cluster=world.target)
        return original(reader, context, started, copy, target, *how)

    monkeypatch.setattr(drill_steps, "compare_with", compare)

    result = _drill(world)

    [problem] = [one for one in result.partitions if one.problem]
    assert ("bills-0", 3, 4) == (str(problem.source), problem.expected_records, problem.found_records)
    _assert_clean(world)


@pytest.mark.parametrize("by", [-1, 1])
def test_a_wrong_translation_of_positions_is_found(world: SmallWorld, monkeypatch: pytest.MonkeyPatch, by: int) -> None:
    def shifted(positions: list[TranslatedPosition]) -> list[TranslatedPosition]:
        return [
            replace(one, target_offset=one.target_offset + by)
            if one.source_topic == "orders" and not one.source_partition
            else one
            for one in positions
        ]

    _after(drill_steps, "translate", shifted, monkeypatch)

    result = _drill(world)

    [failure] = result.failures
    assert failure.startswith("group billing: ")
    _assert_clean(world)


def test_a_lost_setting_is_found(world: SmallWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    original: Callable[..., Any] = vars(drill_steps)["finish_settings"]

    def finish(plan: Any, targets: Any, admin: Any) -> Any:
        done = original(plan, targets, admin)
        name = next(topic.target for topic in plan.topics if topic.topic == "orders")
        admin.alter_topic_configs(name, {"retention.ms": "1000"}, ["max.message.bytes"])
        return done

    monkeypatch.setattr(drill_steps, "finish_settings", finish)

    result = _drill(world)

    problems = [failure.split(": ", 1)[1] for failure in result.failures]
    assert ["the setting max.message.bytes is 1048588, and the backup has 2000000"] == problems[:1]
    assert ["the setting retention.ms is 1000, and the backup has 123456789"] == problems[1:]
    _assert_clean(world)


def test_damage_in_the_backup_fails_the_drill_and_everything_is_removed(world: SmallWorld) -> None:
    key = next(info.key for info in world.store.list("data/") if info.size_bytes > 600)
    stored, _ = world.store.get(key)
    world.store.put(key, [stored[:40] + bytes([stored[40] ^ 1]) + stored[41:]])

    result = _drill(world)

    assert "failed" == result.verdict
    assert any(key in failure for failure in result.failures)
    _assert_clean(world)


def test_a_missing_object_is_refused_before_anything_is_made(world: SmallWorld) -> None:
    world.store.delete([next(world.store.list("data/")).key])

    with pytest.raises(KafkaBackupError):
        _drill(world)
    _assert_clean(world)


def test_a_clean_up_that_removes_nothing_fails_the_drill_and_the_next_one_tries_again(
    world: SmallWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        clean_up_module,
        "_delete",
        lambda admin, topics, done: done.problems.append("The topic x remains: denied"),
    )
    result = _drill(world)
    assert ("failed", ("The topic x remains: denied",)) == (result.verdict, result.failures)
    assert 1 == len(list(left_drills(world.store)))
    monkeypatch.undo()
    world.clock.advance(HOUR_MS)

    cleaned = clean_left_drills(world.context(world.target))

    assert [()] == [one.problems for one in cleaned.values()]
    _assert_clean(world)


def test_a_stopped_drill_is_cleaned_up_too(world: SmallWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    stop = threading.Event()

    def stopped(begun: Any) -> Any:
        stop.set()
        return begun

    _after(drill_module, "begin_drill", stopped, monkeypatch)

    with pytest.raises(InterruptedRunError):
        _drill(world, stop=stop)

    _assert_clean(world)


def _crashed(world: SmallWorld, write: int, *, is_after: bool) -> bool:
    """Whether the drill crashed at this write, before or after it was done."""
    plain = world.store
    world.store = faulty = FaultyStore(plain)
    faulty.crash_at(write, after=is_after)
    try:
        _drill(world)
    except Crashed:
        return True
    finally:
        world.store = plain
        world.clock.advance(HOUR_MS)
    return False


@pytest.mark.parametrize("is_next_drill", [False, True], ids=["clean", "next-drill"])
@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
def test_whatever_a_crash_leaves_behind_is_removed_later_and_nothing_else(
    world: SmallWorld, *, is_after: bool, is_next_drill: bool
) -> None:
    crashes = 0
    while _crashed(world, crashes + 1, is_after=is_after):
        crashes += 1
        if is_next_drill:
            assert "passed" == _drill(world).verdict
        else:
            clean_left_drills(world.context(world.target))
        _assert_clean(world)

    assert crashes > 5
    assert "passed" == _drill(world).verdict


def test_a_topic_with_records_that_somebody_else_made_under_a_scratch_name_stays(
    world: SmallWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is created again while the drill runs, as a client can do, and somebody writes into it."""
    names: list[str] = []

    def replaced(begun: Any) -> Any:
        targets: Targets = begun.targets
        name = targets.partitions[0].topic
        with world.admin() as admin:
            admin.delete_topics([name])
            admin.create_topics([NewTopicSpec(name=name, partitions=2, replication_factor=1, configs={})])
        world.send((name, 0), 1, cluster=world.target)
        names.append(name)
        return begun

    _after(drill_module, "begin_drill", replaced, monkeypatch)

    result = _drill(world)

    assert f"The topic {names[0]} was made by somebody else and has records. It stays." in result.failures
    assert {"live", names[0]} == _topics(world), "the other scratch topics are removed"
    assert 1 == len(world.contents(names[0]))


def test_an_empty_topic_that_a_client_created_again_after_the_removal_is_removed_too(
    world: SmallWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a cluster with automatic creation, a consumer that follows a pattern asks for a topic that is gone."""
    original: Callable[..., None] = vars(clean_up_module)["_delete"]
    again = iter([True, True])

    def deleted(admin: Any, topics: Any, done: Any) -> None:
        original(admin, topics, done)
        if topics and next(again, False):
            specs = [NewTopicSpec(name=topics[0].name, partitions=1, replication_factor=1, configs={})]
            admin.create_topics(specs)

    monkeypatch.setattr(clean_up_module, "_delete", deleted)

    assert "passed" == _drill(world).verdict
    _assert_clean(world)


@pytest.mark.parametrize(
    "options",
    [{"topics": {"include": ["bills", "oders"]}}, {"always_include": ["payments"]}],
    ids=["include", "always"],
)
def test_a_topic_that_the_point_does_not_have_is_an_error_and_not_left_out(
    world: SmallWorld, options: dict[str, Any]
) -> None:
    with pytest.raises(RefusedError, match=r"The point has no topic (oders|payments)"):
        _drill(world, **options)
    _assert_clean(world)


def test_a_topic_that_must_be_included_and_is_not_selected_is_an_error(world: SmallWorld) -> None:
    with pytest.raises(RefusedError, match="always_include names orders, which the selection leaves out"):
        _drill(world, topics={"include": ["bills"]}, always_include=["orders"])


def test_the_settings_are_those_of_the_incarnation_that_is_restored_and_ended_topics_are_named(
    world: SmallWorld,
) -> None:
    world.source.delete_topic("orders")
    world.source.delete_topic("bills")
    world.topic("orders", records=2, configs={"retention.ms": "222222222"})
    world.back_up_changes()

    result = _drill(world)

    assert ("passed", ()) == (result.verdict, result.failures)
    assert {"bills": "it was deleted on the source before the point was made"} == result.data.excluded


def test_what_the_point_lacks_is_a_remark_of_the_report(world: SmallWorld) -> None:
    world.clock.advance(9 * 24 * HOUR_MS)
    world.send(("bills", 0), 4)
    world.back_up_changes(consumer_group_snapshot=False)
    prune_locally(world.context(world.source), SET, RetentionPolicy(keep_last=9, maximum_age="7d"))
    result = _drill(world)

    stored = keep_evidence(world.repository, result, DrillOptions(), None)

    assert "passed" == result.verdict
    assert any("older than maximum_age" in sentence for sentence in result.data.incomplete)
    assert any("has no group positions" in sentence for sentence in result.data.incomplete)
    assert "passed with remarks" == stored.report.result.verdict


def test_a_drill_that_was_cleaned_up_by_another_process_before_its_topics_existed_leaves_none(
    world: SmallWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    original: Callable[..., Any] = vars(drill_steps)["prepare_restore"]

    def prepared(context: Any, admin: Any, plan: Any) -> Any:
        forget_drill(world.store, plan.restore)
        return original(context, admin, plan)

    monkeypatch.setattr(drill_steps, "prepare_restore", prepared)

    with pytest.raises(LockedError, match="was cleaned up by another process"):
        _drill(world)

    assert {"live"} == _topics(world)
    assert [] == list(left_drills(world.store))


def _record_of_dead_drill(world: SmallWorld, monkeypatch: pytest.MonkeyPatch, step: str) -> DrillRecord:
    """The record of a drill that died at a step: after it, nothing was cleaned up."""

    def dies(*args: Any, **kwargs: Any) -> Any:
        raise Crashed

    monkeypatch.setattr(drill_steps if hasattr(drill_steps, step) else drill_module, step, dies)
    monkeypatch.setattr(drill_module, "clean_drill", lambda context, drill: None)
    with pytest.raises(Crashed):
        _drill(world)
    monkeypatch.undo()
    monkeypatch.setattr(clean_up_module, "PAUSE_S", 0.0)
    monkeypatch.setattr(clean_up_module, "PAUSE_AFTER_RETURN_S", 0.0)
    world.clock.advance(HOUR_MS)
    [drill] = left_drills(world.store)
    record = find_drill(world.store, drill)
    assert record is not None
    return record


def _made_by_somebody_else(world: SmallWorld, name: str, *, records: int) -> None:
    with world.admin() as admin:
        admin.delete_topics([name])
        admin.create_topics([NewTopicSpec(name=name, partitions=1, replication_factor=1, configs={})])
    if records:
        world.send((name, 0), records, cluster=world.target)


@pytest.mark.parametrize("step", ["prepare_restore", "replay_bin"], ids=["without-ids", "with-ids"])
def test_a_topic_with_records_that_somebody_made_under_the_name_of_a_dead_drill_stays(
    world: SmallWorld, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    record = _record_of_dead_drill(world, monkeypatch, step)
    foreign = record.topics["bills"]
    _made_by_somebody_else(world, foreign, records=2)

    result = _drill(world)

    [left] = result.earlier.values()
    assert (f"The topic {foreign} was made by somebody else and has records. It stays.",) == left.kept
    assert () == left.problems
    assert {"live", foreign} == _topics(world)
    assert 2 == len(world.contents(foreign))
    assert [] == list(left_drills(world.store)), "nothing of the drill itself is left"
    assert "passed" == result.verdict


def test_an_empty_topic_of_a_drill_that_died_before_it_knew_the_id_is_removed(
    world: SmallWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = _record_of_dead_drill(world, monkeypatch, "prepare_restore")
    _made_by_somebody_else(world, record.topics["bills"], records=0)

    cleaned = clean_left_drills(world.context(world.target))

    assert {record.topics["bills"]} == cleaned[record.restore].topics.keys()
    _assert_clean(world)


def test_a_group_with_positions_of_other_topics_stays(world: SmallWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    record = _record_of_dead_drill(world, monkeypatch, "replay_bin")
    group = record.groups["billing"]
    with world.admin() as admin:
        admin.commit_offsets(group, [CommittedOffset(topic="live", partition=0, offset=1)])

    [cleaned] = clean_left_drills(world.context(world.target)).values()

    assert (f"The group {group} has positions of other topics, so somebody else made it. It stays.",) == cleaned.kept
    with world.admin() as admin:
        assert [group] == [one.group_id for one in admin.list_groups()]


@pytest.mark.parametrize("records", [0, 2])
def test_a_topic_that_came_back_after_a_drill_is_removed_by_the_next_one_if_it_is_empty(
    world: SmallWorld, records: int
) -> None:
    first = _drill(world)
    keep_evidence(world.repository, first, DrillOptions(), None)
    assert first.clean_up is not None
    name = next(iter(first.clean_up.topics))
    world.clock.advance(HOUR_MS)
    _made_by_somebody_else(world, name, records=records)

    result = _drill(world)

    left = result.earlier[first.drill]
    if records:
        assert (f"The topic {name} was made by somebody else and has records. It stays.",) == left.kept
        assert {"live", name} == _topics(world)
    else:
        assert (name,) == left.came_back
        _assert_clean(world)
    stored = keep_evidence(world.repository, result, DrillOptions(), None)
    assert any(first.drill in finding.text for finding in stored.report.result.findings)


def test_a_drill_on_another_cluster_is_left_to_a_clean_up_there(
    world: SmallWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = _record_of_dead_drill(world, monkeypatch, "replay_bin")
    there = _topics(world)

    assert {} == clean_left_drills(world.context(world.source), is_own_cluster_only=True)
    [asked] = clean_left_drills(world.context(world.source)).values()
    assert any("ran on another cluster" in problem for problem in asked.problems)
    assert there == _topics(world)
    assert [record.restore] == list(left_drills(world.store))


def test_a_scratch_topic_of_an_unknown_drill_is_named_and_stays(world: SmallWorld) -> None:
    name = scratch_name("", new_run_id(7), "orders")
    world.topic(name, cluster=world.target)

    [asked] = clean_left_drills(world.context(world.target)).values()

    assert (f"The topic {name} has the name of a drill that this repository does not know. It stays.",) == asked.kept
    assert {} == _drill(world).earlier, "another repository can have a drill that runs"
    assert {"live", name} == _topics(world)


def test_successive_drills_take_the_points_of_the_tiers_in_turn(world: SmallWorld) -> None:
    world.clock.advance(24 * HOUR_MS)
    world.send(("bills", 0), 4)
    world.back_up()
    points = []
    for _ in range(3):
        world.clock.advance(HOUR_MS)
        result = _drill(world, point="tiers")
        keep_evidence(world.repository, result, DrillOptions(), None)
        points.append((result.data.tier, result.data.point))
    world.clock.advance(HOUR_MS)
    newest, older = max(world.repository.state(SET).points), min(world.repository.state(SET).points)

    assert ("newest", newest) == points[0]
    assert ("daily", older) == points[1]
    assert points[2][0] not in ("daily", None)
    _drill(world, point="tiers")
    assert points[2][0] == world.repository.state(SET).drilled_tier, "a drill without a report does not count"
    world.assert_valid()


def test_the_report_names_each_object_that_was_read_and_the_entries_of_the_log_that_were_verified(
    world: SmallWorld,
) -> None:
    result = _drill(world)
    stored = keep_evidence(world.repository, result, DrillOptions(), None, ObjectLock("COMPLIANCE", 1_000))

    read = stored.report.integrity.objects_read
    assert not isinstance(read, Unknown)
    assert {info.key for info in world.store.list("data/")} <= {one.key for one in read}
    assert "data/" not in repr(result.data), "each task of a drill receives the data, so they name no object"
    for one in read:
        assert one.sha256 == hashlib.sha256(world.store.get(one.key)[0]).hexdigest()
    assert str(stored.report.integrity.log_chain).startswith("verified: entries 1 to ")
    assert ("COMPLIANCE", result.times.started_ms + 1_000) == (
        stored.report.where.lock_mode,
        stored.report.where.lock_until_ms,
    )


def test_a_log_with_a_replaced_entry_fails_the_drill(world: SmallWorld) -> None:
    first = _drill(world)
    keep_evidence(world.repository, first, DrillOptions(), None)
    last = max(info.key for info in world.store.list(f"meta/{SET}/log/"))
    original: Callable[..., Any] = vars(drill_steps)["verify_log"]

    def replaced(repository: Any, set_name: str) -> str:
        world.store.put(last, [world.store.get(last)[0].replace(b"passed", b"Passed")])
        return str(original(repository, set_name))

    world.clock.advance(HOUR_MS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drill_module, "verify_log", replaced)
        result = _drill(world)

    assert "failed" == result.verdict
    assert any(last in failure for failure in result.failures)


def test_a_drill_that_ended_early_does_not_claim_to_have_read_its_objects(
    world: SmallWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*args: Any, **kwargs: Any) -> None:
        raise KafkaBackupError("the cluster went away")

    monkeypatch.setattr(drill_module, "replay_bin", fails)
    result = _drill(world)

    report = keep_evidence(world.repository, result, DrillOptions(), None).report

    assert isinstance(report.integrity.objects_read, Unknown)
    assert isinstance(report.integrity.log_chain, Unknown)
    assert isinstance(report.where.lock_mode, Unknown)


def test_groups_with_odd_names_and_positions_are_drilled_like_others(world: SmallWorld) -> None:
    names = ("", "a b\n/é..%2e", "x" * 240, "beyond the end")
    for name in names:
        world.commit(name, {("orders", 0): 500 if name == "beyond the end" else 3})
    world.back_up()
    world.clock.advance(HOUR_MS)

    result = _drill(world)

    assert ("passed", ()) == (result.verdict, result.failures)
    assert {*names, "billing"} == {one.group for one in result.groups}
    _assert_clean(world)


def test_a_drill_names_the_setting_that_somebody_set_back_while_it_ran(
    world: SmallWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operator for topics does that, and Kafka then deletes restored records."""

    def set_back(begun: Any) -> Any:
        with world.admin() as admin:
            admin.alter_topic_configs(begun.record.topics["orders"], {"retention.ms": "3600000"}, [])
        return begun

    world.clock.advance(48 * HOUR_MS)  # the records are older than the retention of their topic
    _after(drill_module, "begin_drill", set_back, monkeypatch)

    result = _drill(world)

    assert "failed" == result.verdict
    assert any("retention.ms" in failure and "3600000" in failure for failure in result.failures), result.failures
    _assert_clean(world)
