"""A restore that ended early is continued by the same request, exactly once; any other request is refused."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from tasks.batches.records import Record
from tasks.engine.record_filter import sections
from tasks.engine.replay.log_ends import still_ends
from tasks.engine.restore_steps import Preview
from tasks.engine.target.unfinished_restores import UnfinishedRestores
from tasks.model.errors import BrokerUnavailableError, InterruptedRunError, LockedError, NotFoundError, RefusedError
from tasks.repository.leases import acquire
from tasks.repository.names import restore_lease_key
from tasks.repository.restores import RestorePlan, StepDone, read_part, record_step, write_part
from tasks.store.memory.memory_store import MemoryStore
from tests.simulation.kafka.clock import SimulatedClock
from tests.simulation.rules.small_world import DAY_MS, SmallWorld, kafka, refused
from tests.support.faults import Crashed


class CountingStore(MemoryStore):
    """Counts the bytes that are read of data objects."""

    data_bytes = 0

    def get_range(self, key: str, start: int, length: int) -> bytes:
        found = super().get_range(key, start, length)
        self.data_bytes += len(found) if key.startswith("data/") else 0
        return found


@pytest.fixture
def world() -> SmallWorld:
    """A backed-up topic `orders` with 40 old records in eight batches."""
    made = SmallWorld()
    made.topic(records=0)
    made.send(records=40, age_ms=30 * DAY_MS)
    made.back_up()
    return made


def _die(world: SmallWorld, call: str = "batch.land", *, skip: int = 3, after: bool = True, **options: Any) -> None:
    world.target_faults.crash(call, after=after, skip=skip)
    with pytest.raises(Crashed):
        world.restore(**options)
    world.target_faults.revive()


def _assert_exact(world: SmallWorld) -> None:
    assert world.contents("orders", cluster=world.source) == world.contents("copy")


# ── it continues ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_killed_restore_continues_without_duplicates(world: SmallWorld) -> None:
    _die(world)
    [died] = world.restores()
    assert 40 > len(world.contents("copy")) > 0

    result = world.restore()

    assert (died, []) == (result.plan.restore, list(result.mismatches))
    _assert_exact(world)


@pytest.mark.parametrize("skip", range(8))
def test_a_broker_that_forgot_the_producer_gets_no_record_twice(skip: int) -> None:
    """The records are older than the time after which a broker forgets their producer."""
    world = SmallWorld()
    world.target = kafka(world.clock, seed=2, nodes=3)
    world.topic(records=0)
    world.send(records=40, age_ms=30 * DAY_MS)
    world.back_up()
    _die(world, skip=skip)
    for node in (0, 1, 2):
        world.target.stop_node(node)
        world.target.start_node(node)
    world.target.expire_producers()

    world.restore()

    _assert_exact(world)


def test_the_newest_point_continues_the_point_of_the_restore(world: SmallWorld) -> None:
    _die(world)
    world.send(records=5)
    world.back_up()

    assert 1 == world.restore().plan.point
    assert 40 == len(world.contents("copy"))


def test_workers_and_rates_can_differ_and_the_new_ones_are_used(world: SmallWorld) -> None:
    _die(world)
    result = world.restore(max_concurrent_partitions=7, rate_limit_records_per_sec=100_000)
    assert (7, 100_000) == (
        result.plan.options["max_concurrent_partitions"],
        result.plan.options["rate_limit_records_per_sec"],
    )
    _assert_exact(world)


def test_completed_steps_are_not_repeated(world: SmallWorld) -> None:
    _die(world, "admin.alter_topics", skip=0, after=False, finalize="apply")
    before = len(world.target_faults.steps)

    world.restore(finalize="apply")

    calls = {step.call for step in world.target_faults.steps[before:]}
    assert not calls & {"admin.create_topics", "writer.init_producer_id", "writer.produce", "fetcher.receive"}
    _assert_exact(world)


def test_a_continued_restore_reads_little_of_the_backup_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """With sections of a few batches, as a large partition has sections of 4 MiB."""
    monkeypatch.setattr(sections, "BARRIER_LOG_BYTES", 32_000)
    monkeypatch.setattr("tasks.engine.capture.segment.FRAME_LOG_BYTES", 16_000)
    monkeypatch.setattr("tasks.engine.capture.segment.FULL_ENOUGH_BYTES", 15_000)
    monkeypatch.setattr("tasks.repository.frame_reader._READ_AHEAD_BYTES", 32_000)
    store, values = CountingStore("counting"), random.Random(1)
    world = SmallWorld(store=store)
    world.topic(records=0)
    producer, stamp = world.source.producer(), world.clock.now_ms() - 30 * DAY_MS
    for _ in range(400):
        producer.send(("orders", 0), [Record(0, stamp, b"key", values.randbytes(1_000)) for _ in range(10)])
    world.back_up()
    whole = sum(info.size_bytes for info in store.list("data/"))
    _die(world, skip=364)
    assert 0.89 < len(world.contents("copy")) / 4_000 < 0.93

    store.data_bytes = 0
    read: list[int] = []
    world.target_faults.after("batch.land", lambda: read.append(store.data_bytes), times=1_000)
    world.restore()

    _assert_exact(world)
    assert 0.07 * whole < read[-1] <= 0.15 * whole


@pytest.mark.parametrize("call", ["admin.create_topics", "writer.init_producer_id"])
@pytest.mark.parametrize("after", [False, True])
def test_a_restore_that_died_while_it_prepared_takes_its_own_topics_over(
    world: SmallWorld, call: str, after: bool
) -> None:
    _die(world, call, skip=1 if call == "admin.create_topics" else 0, after=after)
    world.restore()
    _assert_exact(world)


def test_a_purge_is_repeated_while_nothing_was_written(world: SmallWorld) -> None:
    world.topic("copy", records=5, cluster=world.target)
    _die(world, "writer.init_producer_id", skip=0, purge_topics=True)
    world.send(("copy", 0), 3, cluster=world.target)

    world.restore(purge_topics=True)

    assert world.contents("orders", cluster=world.source) == world.contents("copy")[-40:]
    assert (8, 48) == world.offsets("copy")


def test_late_requests_of_the_dead_writer_are_awaited(world: SmallWorld) -> None:
    _die(world, skip=2)
    assert world.target.wire.in_flight
    world.restore()
    assert [] == world.target.wire.in_flight
    _assert_exact(world)


# ── it is refused ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("options", "difference"),
    [
        ({"purge_topics": True}, "its purge_topics is False and not True"),
        ({"finalize": "apply"}, "its finalize is empty and not apply"),
    ],
)
def test_another_request_into_the_same_topics_is_refused_with_what_differs(
    world: SmallWorld, options: dict[str, Any], difference: str
) -> None:
    _die(world)
    [died] = world.restores()
    before = world.contents("copy")
    with refused(RefusedError, difference, code=3) as caught:
        world.restore(**options)
    assert "restore --new" in str(caught.value)
    assert f"kafka-backup abandon {died}" in str(caught.value)
    assert (before, [died]) == (world.contents("copy"), world.restores())


def test_another_point_is_another_request(world: SmallWorld) -> None:
    _die(world)
    world.back_up()
    with refused(RefusedError, "it restores set@1 and not set@2", code=3):
        world.restore(seq=2)
    assert 1 == world.restore(seq=1).plan.point


def test_other_topics_begin_another_restore(world: SmallWorld) -> None:
    _die(world)
    [died] = world.restores()
    world.clock.advance(10)
    assert died != world.restore({"orders": "elsewhere"}).plan.restore


def test_a_new_restore_leaves_the_unfinished_one(world: SmallWorld) -> None:
    _die(world)
    [died] = world.restores()
    world.clock.advance(10)
    assert died != world.restore(is_new=True, purge_topics=True).plan.restore
    assert world.contents("orders", cluster=world.source) == world.contents("copy")
    with refused(RefusedError, "it is not empty", code=3):
        world.restore()  # the old one is superseded, so it is not continued


def test_a_batch_of_somebody_else_is_refused(world: SmallWorld) -> None:
    _die(world)
    world.target.wire.drop()
    world.send(("copy", 0), 1, cluster=world.target)
    before = world.contents("copy")
    with refused(RefusedError, "a batch that is not one of this restore", code=3):
        world.restore()
    assert before == world.contents("copy")


def test_more_records_than_planned_are_refused(world: SmallWorld) -> None:
    _die(world)
    world.clock.advance(1_000)
    world.send(("copy", 0), 60, cluster=world.target)
    with refused(RefusedError, "its log ends at .* and this restore writes offsets 0 to 40", code=3):
        world.restore()


def test_deleted_records_are_refused(world: SmallWorld) -> None:
    _die(world)
    world.clock.advance(1_000)
    world.target.log(("copy", 0)).move_start(5)
    with refused(RefusedError, "its log begins at 5, so records after offset 0 were deleted", code=3):
        world.restore()


def test_a_topic_that_was_created_again_is_refused(world: SmallWorld) -> None:
    _die(world)
    world.target.delete_topic("copy")
    with refused(RefusedError, "copy was deleted since restore", code=3):
        world.restore()
    world.topic("copy", records=0, cluster=world.target)
    with refused(RefusedError, "copy was deleted and created again since restore", code=3):
        world.restore()
    assert [] == world.contents("copy")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda world: world.send(("copy", 0), 1, cluster=world.target), "it is not empty"),
        (
            lambda world: world.target.topics.by_name["copy"].settings.own.update({"retention.ms": "7"}),
            "its retention.ms is 7",
        ),
    ],
)
def test_a_topic_that_this_restore_did_not_create_is_not_taken_over(
    world: SmallWorld, change: Callable[[SmallWorld], object], reason: str
) -> None:
    _die(world, "writer.init_producer_id", skip=0, after=False)
    change(world)
    with refused(RefusedError, f"copy exists, and this restore did not create it: {reason}", code=3):
        world.restore()


def test_a_restore_with_mismatches_is_not_continued(world: SmallWorld) -> None:
    _die(world, skip=7)
    [died] = world.restores()
    record_step(
        world.store, StepDone(restore=died, step="verified", time_ms=1, report={"mismatches": ["orders-0: differs"]})
    )
    world.clock.advance(10)
    with refused(RefusedError, "it is not empty", code=3):
        world.restore()
    assert [] == list(world.restore(purge_topics=True).mismatches)


def test_a_restore_that_is_alive_is_not_taken_over(world: SmallWorld) -> None:
    _die(world)
    [died] = world.restores()
    lease = acquire(world.store, restore_lease_key(died), clock=world.clock.monotonic_s)
    world.clock.after(500, lease.renew)
    with refused(LockedError, "which renews it", code=11):
        world.restore()


def test_a_restore_whose_preparation_was_undone_is_over(world: SmallWorld) -> None:
    """The next request can have other options, because nothing is left."""

    def occupy(preview: Preview) -> None:
        world.topic("copy", records=0, cluster=world.target)

    with pytest.raises(Exception, match="copy"):
        world.restore(previewed=occupy)
    [undone] = world.restores()
    assert read_part(world.store, undone, "abandoned", StepDone) is not None
    world.clock.advance(10)
    assert [] == list(world.restore(topic_configs="ignore").mismatches)


def test_the_wait_for_the_log_ends_on_a_fake_clock(world: SmallWorld) -> None:
    world.topic("copy", records=5, cluster=world.target)
    context = world.context(world.target)
    partitions = world.target.partitions("copy")
    began = world.clock.now_ms()
    world.clock.after(700, lambda: world.send(("copy", 0), 5, cluster=world.target))
    with context.reader() as log:
        assert {partitions[0]: 10} == still_ends(context, log, partitions)
        assert 2_700 <= world.clock.now_ms() - began < 4_000
        _send_forever(world, world.clock)
        with refused(RefusedError, "its log still grows", code=3):
            still_ends(context, log, partitions)
        context.stop.set()
        with pytest.raises(InterruptedRunError):
            still_ends(context, log, partitions)


def _send_forever(world: SmallWorld, clock: SimulatedClock) -> None:
    world.send(("copy", 0), 1, cluster=world.target)
    clock.after(900, lambda: _send_forever(world, clock))


def test_the_plan_of_an_earlier_version_is_continued(world: SmallWorld) -> None:
    """It does not say which topics were asked for."""
    _die(world)
    [died] = world.restores()
    plan = read_part(world.store, died, "plan", RestorePlan)
    assert plan is not None
    document = {name: value for name, value in plan.to_json().items() if name not in ("selection", "digest")}
    world.store.delete([f"restores/{died}/plan.json"])
    write_part(world.store, died, "plan", RestorePlan.model_validate(document))
    assert died == world.restore().plan.restore
    _assert_exact(world)


def test_an_unreachable_cluster_leaves_a_restore_that_is_continued(world: SmallWorld) -> None:
    world.target_faults.before("writer.produce", _fail)
    with pytest.raises(BrokerUnavailableError):
        world.restore()
    [died] = world.restores()
    assert died == world.restore().plan.restore
    with pytest.raises(NotFoundError):
        world.finalize("unknown")
    assert [] == list(UnfinishedRestores.read(world.store).restores)[1:]


def _fail() -> None:
    raise BrokerUnavailableError("away")
