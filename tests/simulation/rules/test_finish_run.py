"""A run that died is finished by the next one: what it stored is checked and adopted, and only the rest is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from tasks.engine.backup_steps import FinishedRun
from tasks.engine.incremental import incremental_locally
from tasks.engine.snapshot import snapshot_locally
from tasks.model.errors import BrokerUnavailableError, ConfigError, KafkaBackupError
from tasks.model.ranges import TOPIC_GONE
from tasks.repository.entries import PointEntry, VoidEntry
from tests.simulation.kafka.faults import Step
from tests.simulation.rules.small_world import SET, SmallWorld, kafka, refused
from tests.support.faults import Crashed

MANY = {"segment_max_bytes": 1 << 10, "max_concurrent_partitions": 1, "consumer_group_snapshot": False}


@pytest.fixture
def small_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a partition of some batches has several objects."""
    monkeypatch.setattr("tasks.engine.capture.segment.FRAME_LOG_BYTES", 300)
    monkeypatch.setattr("tasks.engine.capture.segment.FULL_ENOUGH_BYTES", 200)


def _die(world: SmallWorld, after_fetches: int, *, is_incremental: bool = True) -> None:
    """A run whose process dies at a fetch. Its lease is never released. It finishes an earlier run first."""
    context, request = world.context(world.source), world.request(**MANY)
    seen: Counter[str] = Counter()

    def strike(step: Step) -> None:
        seen[step.call] += step.has_happened
        if seen["fetcher.receive"] >= after_fetches:
            raise Crashed("the process died")

    world.source.interceptor = strike
    back_up = incremental_locally if is_incremental else snapshot_locally
    with pytest.raises(Crashed):
        back_up(context, request, workers=1)
    world.source.interceptor = lambda step: None
    world.clock.advance(60_000)


def _next_run(world: SmallWorld) -> tuple[list[FinishedRun], Counter[str]]:
    """The next incremental run; what it finished, and its calls."""
    context, finished, calls = world.context(world.source), list[FinishedRun](), Counter[str]()

    def count(step: Step) -> None:
        calls[step.call] += step.has_happened

    world.source.interceptor = count
    incremental_locally(context, world.request(**MANY), workers=1, finished=finished.append)
    return finished, calls


@pytest.mark.usefixtures("small_objects")
@pytest.mark.parametrize("is_incremental", [True, False])
def test_the_next_run_adopts_what_was_stored_and_reads_the_rest(world: SmallWorld, is_incremental: bool) -> None:
    world.topic(records=300)
    _die(world, after_fetches=50, is_incremental=is_incremental)

    [finished], calls = _next_run(world)

    assert finished.objects > 1
    assert 0 < finished.records < 300
    assert calls["fetcher.receive"] == 60 - finished.records // 5, "nothing is read twice"
    assert ("complete", 300) == (finished.point.entry.status, finished.point.entry.totals.records)
    assert [finished.point.seq, finished.point.seq + 1] == sorted(world.repository.state(SET).points)
    world.assert_valid()
    world.restore({"orders": "copy"})
    assert world.contents("orders", cluster=world.source) == world.contents("copy")


@pytest.mark.usefixtures("small_objects")
def test_of_an_object_that_is_not_as_its_fragment_states_nothing_is_adopted(world: SmallWorld) -> None:
    world.topic(records=300)
    _die(world, after_fetches=50)
    objects = sorted(info.key for info in world.store.list("data/"))
    fragments = sorted(info.key for info in world.store.list("fragments/"))
    world.store.delete([objects[1]])

    [finished], _ = _next_run(world)

    assert len(objects) == len(fragments) > 2
    assert 1 == finished.objects
    assert ("complete", 300) == (finished.point.entry.status, finished.point.entry.totals.records)
    world.assert_valid()


@pytest.mark.usefixtures("small_objects")
@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: data[:9] + b"x" + data[10:]], ids=["cut", "flip"]
)
def test_a_damaged_fragment_is_not_adopted(world: SmallWorld, damage: Callable[[bytes], bytes]) -> None:
    world.topic(records=300)
    _die(world, after_fetches=50)
    second = sorted(info.key for info in world.store.list("fragments/"))[1]
    world.store.put(second, [damage(world.store.get(second)[0])])

    [finished], _ = _next_run(world)

    assert 1 == finished.objects
    assert ("complete", 300) == (finished.point.entry.status, finished.point.entry.totals.records)


@pytest.mark.usefixtures("small_objects")
def test_a_run_of_which_nothing_can_be_adopted_is_voided_because_the_next_one_reads_the_same(world: SmallWorld) -> None:
    world.topic(records=300)
    _die(world, after_fetches=50)
    first = min(info.key for info in world.store.list("fragments/"))
    world.store.put(first, [b"damaged"])

    finished, _ = _next_run(world)

    assert [] == finished
    assert [VoidEntry, PointEntry] == [type(entry) for entry in world.repository.log(SET).entries()]
    assert 300 == world.repository.log(SET).newest_point().entry.totals.records  # type: ignore[union-attr]
    world.assert_valid()


@pytest.mark.parametrize("is_incremental", [True, False])
def test_a_run_that_died_before_it_read_anything_makes_no_empty_point(world: SmallWorld, is_incremental: bool) -> None:
    world.topic()
    if is_incremental:
        world.back_up_changes()
        world.send()
    _die(world, after_fetches=1, is_incremental=is_incremental)

    finished, _ = _next_run(world)

    assert [] == finished
    kinds = [type(entry) for entry in world.repository.log(SET).entries()]
    assert [*([PointEntry] if is_incremental else []), VoidEntry, PointEntry] == kinds


def test_a_run_that_failed_because_no_broker_answered_makes_no_empty_point(world: SmallWorld) -> None:
    world.topic()
    world.back_up_changes()
    world.send()
    context, request = world.context(world.source), world.request(**MANY)

    def strike(step: Step) -> None:
        if step.call.startswith("fetcher"):
            raise BrokerUnavailableError("no broker answers")

    world.source.interceptor = strike
    with pytest.raises(KafkaBackupError, match="no broker answers"):
        incremental_locally(context, request, workers=1)

    finished, _ = _next_run(world)

    assert [] == finished
    assert [PointEntry, VoidEntry, PointEntry] == [type(entry) for entry in world.repository.log(SET).entries()]


def test_a_run_that_died_before_it_had_a_plan_is_voided(world: SmallWorld) -> None:
    world.topic()
    context = world.context(world.source)

    def strike(step: Step) -> None:
        if step.call.startswith("reader"):
            raise Crashed("the process died")

    world.source.interceptor = strike
    with pytest.raises(Crashed):
        incremental_locally(context, world.request(**MANY), workers=1)
    world.clock.advance(60_000)

    finished, _ = _next_run(world)

    assert [] == finished
    assert [VoidEntry, PointEntry] == [type(entry) for entry in world.repository.log(SET).entries()]


@pytest.mark.usefixtures("small_objects")
def test_a_topic_that_is_gone_by_then_keeps_what_was_stored_of_it(world: SmallWorld) -> None:
    world.topic(records=300)
    world.topic("other")
    _die(world, after_fetches=50)
    world.source.delete_topic("orders")

    [finished], _ = _next_run(world)

    [gap] = finished.point.entry.gaps
    assert (finished.records, 300, TOPIC_GONE) == (gap.first, gap.next, gap.reason)
    world.assert_valid()


@pytest.mark.usefixtures("small_objects")
def test_a_log_that_was_truncated_meanwhile_is_read_again_from_there(world: SmallWorld) -> None:
    world.topic(records=300)
    _die(world, after_fetches=50)
    world.source.elect_uncleanly(("orders", 0), end=20)
    world.send(records=100)

    [finished], _ = _next_run(world)
    world.restore({"orders": "copy"})

    assert finished.records > 20
    assert world.contents("orders", cluster=world.source) == world.contents("copy")
    world.assert_valid()


def test_a_run_of_another_cluster_is_left_alone(world: SmallWorld) -> None:
    world.topic()
    _die(world, after_fetches=1)
    world.source = kafka(world.clock, seed=9)
    world.topic()

    with refused(ConfigError, "this is cluster .*name another set", code=2):
        _next_run(world)

    assert [] == list(world.repository.log(SET).entries())


@pytest.mark.usefixtures("small_objects")
@pytest.mark.parametrize("fetches", [0, 1, 5, 10, 20, 39])
def test_of_two_dead_writers_the_records_of_two_incarnations_are_never_mixed(world: SmallWorld, fetches: int) -> None:
    """The topic is created again between the two deaths. The second process dies while it finishes the first run, while
    it plans its own, or later."""
    world.topic(records=300)
    old = world.contents("orders", cluster=world.source)
    _die(world, after_fetches=50)
    world.source.delete_topic("orders")
    world.topic(records=200)
    _die(world, after_fetches=fetches)

    _next_run(world)

    first, *_ = (entry for entry in world.repository.log(SET).entries() if isinstance(entry, PointEntry))
    [gap] = first.gaps
    assert (TOPIC_GONE, 300) == (gap.reason, gap.next)
    world.assert_valid()
    world.restore({"orders": "copy"})
    assert world.contents("orders", cluster=world.source) == world.contents("copy")
    world.restore({"orders": "old"}, seq=first.seq)
    assert old[: gap.first] == world.contents("old")


@pytest.mark.usefixtures("small_objects")
@pytest.mark.parametrize("is_chain", [False, True], ids=["snapshot", "incremental"])
@pytest.mark.parametrize("end", [0, 20, 110])
@pytest.mark.parametrize("fetches", [1, 10, 25, 45])
def test_of_two_dead_writers_the_records_of_two_lineages_are_never_mixed(
    world: SmallWorld, is_chain: bool, end: int, fetches: int
) -> None:
    """The log is truncated between the two deaths. An end below the start of the dead run makes the second process read
    again what an earlier point contains."""
    world.topic(records=100 if is_chain else 300)
    if is_chain:
        world.back_up_changes()
        world.send(records=200)
    _die(world, after_fetches=30)
    world.source.elect_uncleanly(("orders", 0), end=end)
    world.send(records=250)
    _die(world, after_fetches=fetches)

    _next_run(world)

    world.assert_valid()
    world.restore({"orders": "copy"})
    assert world.contents("orders", cluster=world.source) == world.contents("copy")
