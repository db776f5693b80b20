"""Marks: named ends of partitions, which are stored before their entry and stay as long as the mark exists."""

from __future__ import annotations

import pytest

from tasks.engine.freeze import freeze_repository
from tasks.engine.marks import NewMark, UnreachedPartition, remove_mark, set_mark, unreached_partitions
from tasks.engine.options import BackupOptions, RetentionPolicy, TopicSelection
from tasks.engine.prune import prune_locally
from tasks.model.errors import (
    AccessError,
    BrokerUnavailableError,
    ConfigError,
    DamagedError,
    NotFoundError,
    RefusedError,
    RunClosedError,
)
from tasks.repository.entries import MarkEntry, UnmarkEntry, VoidEntry
from tasks.repository.marks import read_mark
from tasks.repository.set_state import SetState
from tasks.store.memory.memory_store import MemoryStore
from tests.simulation.kafka.faults import Step
from tests.simulation.kafka.permissions import ANONYMOUS
from tests.simulation.rules.small_world import DAY_MS, HOUR_MS, SET, SmallWorld, kafka, refused
from tests.support.faults import Crashed, FaultyStore

POLICY = RetentionPolicy(keep_last=1)
USER = "backup"


@pytest.fixture
def world() -> SmallWorld:
    """A world whose store has the simulated clock too."""
    made = SmallWorld()
    made.store = MemoryStore("rules", now_ms=made.clock.now_ms)
    return made


def _mark(world: SmallWorld, name: str = "release", *topics: str, user: str = ANONYMOUS, note: str = "n") -> NewMark:
    context = world.context(world.source, user=user)
    selection = TopicSelection(include=topics)
    return set_mark(context, SET, name, topics=selection, options=BackupOptions(), note=note)


def _state(world: SmallWorld) -> SetState:
    return world.repository.log(SET).without_memory().state()


def _objects(world: SmallWorld) -> list[str]:
    return [info.key for info in world.store.list(f"meta/{SET}/marks/")]


def _unreached(world: SmallWorld, name: str = "release") -> list[UnreachedPartition]:
    return list(unreached_partitions(read_mark(world.store, _state(world).marks[name].offsets), world.point()))


def _prune(world: SmallWorld) -> None:
    prune_locally(world.context(world.source), SET, POLICY)


def _prune_until_all_graces_are_over(world: SmallWorld) -> None:
    for _ in range(4):
        _prune(world)
        world.clock.advance(DAY_MS + HOUR_MS)


def test_a_mark_stores_the_bounds_of_all_selected_partitions_and_copies_nothing(world: SmallWorld) -> None:
    world.topic(partitions=2, records=4)
    world.topic("other")
    world.topic("bills", records=0)
    world.back_up("orders", "bills")
    world.send(("orders", 1), records=3)
    world.source.transactional_producer().send(("orders", 0), world.records(2))
    data = [info.key for info in world.store.list("data/")]

    made = _mark(world, "release", "orders", "bills", note="before the migration")

    ids = {name: topic.topic_id for name, topic in world.source.topics.by_name.items()}
    assert [
        ("bills", ids["bills"], 0, 0, 0),
        ("orders", ids["orders"], 0, 0, 6),
        ("orders", ids["orders"], 1, 0, 7),
    ] == [(part.topic, part.topic_id, part.partition, part.first, part.end) for part in made.offsets.partitions]
    assert data == [info.key for info in world.store.list("data/")]
    mark = _state(world).marks["release"]
    assert ("release", "before the migration", made.entry.cluster_id) == (mark.name, mark.note, mark.cluster_id)
    assert made.offsets == read_mark(world.store, mark.offsets)
    assert [mark.offsets.key] == _objects(world)


def test_the_newest_point_contains_a_mark_when_it_has_every_partition_up_to_it(world: SmallWorld) -> None:
    world.topic(partitions=2, records=4)
    world.back_up()
    world.topic("new", records=3)
    world.topic("empty", records=0)
    world.send(("orders", 1), records=3)
    open_one = world.source.transactional_producer()
    open_one.send(("orders", 0), world.records(2))

    _mark(world)

    assert [("new", 0, 3, None), ("orders", 0, 6, 4), ("orders", 1, 7, 4)] == [
        (one.source.topic, one.source.partition, one.end, one.stored_next) for one in _unreached(world)
    ]
    world.back_up_changes()
    assert [("orders", 0, 6, 4)] == [
        (one.source.topic, one.source.partition, one.end, one.stored_next) for one in _unreached(world)
    ], "an open transaction holds it back"
    open_one.commit()
    world.back_up_changes()
    assert [] == _unreached(world)


def test_the_log_start_of_a_partition_that_lost_everything_needs_no_row(world: SmallWorld) -> None:
    world.topic(records=4)
    world.back_up("orders")
    world.topic("gone", records=4)
    with world.context(world.source).admin() as admin:
        admin.delete_records({("gone", 0): 4})

    made = _mark(world)

    assert [("gone", 4, 4), ("orders", 0, 4)] == [(one.topic, one.first, one.end) for one in made.offsets.partitions]
    assert [] == _unreached(world)


def test_a_topic_that_was_created_again_is_another_one(world: SmallWorld) -> None:
    world.topic(records=4)
    world.back_up()
    world.source.delete_topic("orders")
    world.topic(records=4)

    _mark(world)

    assert [(4, None)] == [(one.end, one.stored_next) for one in _unreached(world)]


def test_the_name_of_a_mark_is_unique_while_it_exists(world: SmallWorld) -> None:
    world.topic()
    world.back_up()
    _mark(world)
    with refused(RefusedError, "has a mark release already", code=3):
        _mark(world)
    assert 1 == len(_objects(world)), "nothing was written for the second"

    remove_mark(world.repository, SET, "release")
    with refused(NotFoundError, "has no mark release", code=10):
        remove_mark(world.repository, SET, "release")
    _mark(world)

    kinds = [type(entry) for entry in world.repository.log(SET).entries()]
    assert [MarkEntry, UnmarkEntry, MarkEntry] == kinds[1:]


def test_of_two_marks_of_one_name_at_once_one_wins_and_the_other_is_refused(world: SmallWorld) -> None:
    world.topic()
    world.back_up()
    others: list[NewMark] = []

    def write(number: int, operation: str, key: str) -> None:
        if key.startswith(f"meta/{SET}/marks/") and not others:
            world.store = plain
            others.append(_mark(world))

    plain = world.store
    world.store = FaultyStore(plain, on_write=write)
    with refused(RefusedError, "has a mark release already", code=3):
        _mark(world)

    [winner] = others
    assert winner.entry.run == _state(world).marks["release"].run
    assert 2 == len(_objects(world))
    _prune_until_all_graces_are_over(world)
    assert [winner.entry.offsets.key] == _objects(world), "the object of the loser is deleted"


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
def test_a_crash_leaves_the_mark_or_only_an_object_that_a_prune_deletes(world: SmallWorld, *, is_after: bool) -> None:
    world.topic()
    world.back_up()
    plain = world.store
    crashes = 0
    for write in range(1, 20):
        name = f"release-{write}"
        world.store = faulty = FaultyStore(plain)
        faulty.crash_at(write, after=is_after)
        try:
            _mark(world, name)
            break
        except Crashed:
            crashes += 1
        finally:
            world.store = plain
    marks = _state(world).marks
    assert crashes >= 2

    _prune_until_all_graces_are_over(world)

    assert marks == _state(world).marks
    assert sorted(mark.offsets.key for mark in marks.values()) == _objects(world)
    assert {read_mark(plain, mark.offsets).topics for mark in marks.values()} == {1}


def test_a_mark_that_wakes_up_after_its_run_was_voided_is_refused(world: SmallWorld) -> None:
    """Its object can be deleted already, so that its entry would name nothing."""
    world.topic()
    world.back_up()
    plain = world.store

    def write(number: int, operation: str, key: str) -> None:
        if key.startswith(f"meta/{SET}/marks/"):
            world.store = plain
            world.clock.advance(DAY_MS + HOUR_MS)
            _prune_until_all_graces_are_over(world)

    world.store = FaultyStore(plain, on_write=write)
    with pytest.raises(RunClosedError):
        _mark(world)

    assert ({}, []) == (_state(world).marks, _objects(world))
    assert any(isinstance(entry, VoidEntry) for entry in world.repository.log(SET).entries())


@pytest.mark.parametrize("known_runs", [1, 1000])
def test_no_prune_deletes_a_mark_that_exists_and_the_first_after_the_grace_deletes_a_removed_one(
    world: SmallWorld, monkeypatch: pytest.MonkeyPatch, known_runs: int
) -> None:
    """The grace is counted from the removal, however old the mark is, also if the state does not know its run any
    more."""
    monkeypatch.setattr("tasks.repository.set_state.KEPT_CLOSED_RUNS", known_runs)
    world.topic()
    world.back_up()
    kept, gone = _mark(world, "kept").entry, _mark(world, "gone").entry
    for _ in range(3):
        world.back_up()
        _prune_until_all_graces_are_over(world)
    assert {gone.offsets.key, kept.offsets.key} == set(_objects(world))

    remove_mark(world.repository, SET, "gone")
    world.back_up()
    world.clock.advance(DAY_MS - HOUR_MS)
    _prune(world)
    assert 2 == len(_objects(world))
    world.clock.advance(HOUR_MS)
    _prune(world)

    assert [kept.offsets.key] == _objects(world)


def test_a_mark_needs_no_right_but_to_describe_the_topics() -> None:
    world = SmallWorld()
    world.source = kafka(world.clock, seed=3, has_authorizer=True)
    world.topic()
    world.back_up("orders", user=USER)
    world.source.permissions.allow_only(USER, "Topic", "orders", "Describe")

    with pytest.raises(AccessError):
        world.back_up("orders", user=USER)
    assert [10] == [part.end for part in _mark(world, "release", "orders", user=USER).offsets.partitions]


def test_a_mark_without_a_topic_that_the_set_has_and_the_user_cannot_see_is_not_set() -> None:
    world = SmallWorld()
    world.source = kafka(world.clock, seed=3, has_authorizer=True)
    world.topic()
    world.topic("other")
    world.back_up("*", user=USER)
    world.source.permissions.allow_only("somebody", "Topic", "other", "Read")

    with refused(AccessError, r"^No mark was set\. Not allowed to back up other", code=12):
        _mark(world, "release", "*", user=USER)
    assert ({}, []) == (_state(world).marks, _objects(world))


def test_a_mark_is_not_set_if_a_partition_has_no_leader(world: SmallWorld) -> None:
    world.source = kafka(world.clock, seed=4, nodes=2)
    world.topic(partitions=4)
    world.back_up()
    world.source.stop_node(1)

    with refused(BrokerUnavailableError, "No mark was set, because orders-", code=1):
        _mark(world)
    assert ({}, []) == (_state(world).marks, _objects(world))


def test_a_mark_of_another_cluster_or_without_a_set_is_refused(world: SmallWorld) -> None:
    world.topic()
    with refused(NotFoundError, "There is no backup set 'set'", code=10):
        _mark(world)
    world.back_up()
    world.source = kafka(world.clock, seed=9)
    world.topic()
    with refused(ConfigError, "belongs to cluster", code=2):
        _mark(world)
    assert ({}, []) == (_state(world).marks, _objects(world))


@pytest.mark.parametrize("name", ["", "-a", "a b", "ä", "a\n", "a" * 101])
def test_a_name_or_a_note_that_is_not_allowed_is_refused_before_anything_is_read(world: SmallWorld, name: str) -> None:
    def strike(step: Step) -> None:
        raise AssertionError(step)

    context = world.context(world.source)
    world.source.interceptor = strike
    options = BackupOptions()
    with refused(ConfigError, "cannot be the name of a mark", code=2):
        set_mark(context, SET, name, topics=TopicSelection(), options=options)
    with refused(ConfigError, "The note is not allowed", code=2):
        set_mark(context, SET, "release", topics=TopicSelection(), options=options, note=f"x\n{name}")


def test_a_frozen_repository_gets_marks_and_keeps_them(world: SmallWorld) -> None:
    world.topic()
    world.back_up()
    _mark(world, "before")
    freeze_repository(world.context(world.source), reason="incident", by="ops")

    _mark(world, "incident")
    with refused(RefusedError, "no hold, label or mark is taken away", code=3):
        remove_mark(world.repository, SET, "before")

    assert ["before", "incident"] == list(_state(world).marks)


def test_marks_are_the_same_for_a_reader_that_begins_at_a_checkpoint(
    world: SmallWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.repository.hints.CHECKPOINT_EVERY", 2)
    world.topic()
    world.back_up()
    for name in ("a", "b", "c"):
        _mark(world, name)
    remove_mark(world.repository, SET, "b")

    assert ["a", "c"] == list(_state(world).marks)
    assert _state(world) == world.repository.state(SET)


def test_a_damaged_mark_is_named(world: SmallWorld) -> None:
    world.topic()
    world.back_up()
    ref = _mark(world).entry.offsets
    world.store.put(ref.key, [b"other bytes"])

    with refused(DamagedError, f"{ref.key} is damaged", code=20):
        read_mark(world.store, ref)
