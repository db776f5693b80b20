"""Small ranges share their first fetch requests: with far fewer requests the same is captured, and what happens between
a shared answer and its use is seen as after any other answer."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import accumulate

import pytest

from tasks.engine.backup_steps import capture_bin
from tasks.engine.capture.capture_ranges import capture_ranges
from tasks.engine.capture.capture_result import CaptureResult
from tasks.engine.capture.object_sink import ObjectSettings
from tasks.engine.capture.range_reader import CaptureRange
from tasks.engine.incremental import incremental_locally
from tasks.engine.rate_limit import RateLimit
from tasks.engine.snapshot import snapshot_locally
from tasks.engine.source.snapshot_plan import SnapshotRequest, plan_snapshot
from tasks.model.errors import InterruptedRunError
from tasks.model.partition import Partition
from tasks.model.ranges import TOPIC_GONE, TRIMMED, TRUNCATED
from tasks.repository.entries import PartitionNote
from tasks.repository.lines import IndexLine
from tasks.repository.restore_point import RestorePoint
from tests.simulation.rules.small_world import SmallWorld, kafka, refused

SHARED = "reader.first_answers"
ALL = 1.0
PARTITIONS = 4

BackUp = Callable[..., tuple[RestorePoint, list[CaptureResult]]]


@pytest.fixture
def world() -> SmallWorld:
    """A topic `orders` with four partitions, each with one batch of five records, which is one fetch answer."""
    made = SmallWorld()
    made.topic(partitions=PARTITIONS, records=5)
    return made


def _request(world: SmallWorld, *topics: str) -> SnapshotRequest:
    """The request for a backup whose partitions are all in one bin."""
    return replace(world.request(*topics), most_bins=1)


def _one_bin(world: SmallWorld, *topics: str, back_up: BackUp = snapshot_locally) -> RestorePoint:
    return back_up(world.context(world.source), _request(world, *topics), workers=1)[0]


def _after_sharing(world: SmallWorld, act: Callable[[], object]) -> RestorePoint:
    """A backup under which this happens when the shared answers are received and none of them was used."""
    world.faults.after(SHARED, act)
    point = _one_bin(world)
    world.assert_valid()
    return point


def _calls(world: SmallWorld) -> Counter[str]:
    return Counter(step.call for step in world.faults.steps if not step.has_happened)


def _ranges(notes: tuple[PartitionNote, ...]) -> list[tuple[int, int | None, int | None, str]]:
    return [(note.partition or 0, note.first, note.next, note.reason) for note in notes]


# ── the number of requests ──────────────────────────────────────────────────────────────────────────────────────────


def test_two_hundred_small_partitions_of_two_leaders_take_a_request_for_each_bin() -> None:
    world = SmallWorld()
    world.source = kafka(world.clock, seed=3, nodes=2)
    world.topic(partitions=200, records=5)

    point = world.back_up()

    assert (4, 0, 0) == tuple(_calls(world)[call] for call in (SHARED, "fetcher.send", "fetcher.receive"))
    assert ("complete", 200 * 5) == (point.entry.status, point.entry.totals.records)
    world.assert_valid()


def test_a_range_with_more_than_one_answer_shares_only_the_first() -> None:
    world = SmallWorld()
    world.topic(partitions=PARTITIONS, records=15)
    _one_bin(world)
    assert (1, 2 * PARTITIONS) == (_calls(world)[SHARED], _calls(world)["fetcher.receive"])


def test_a_partition_without_a_neighbour_is_read_as_before(world: SmallWorld) -> None:
    world.topic("alone", records=5)
    _one_bin(world, "alone")
    assert (0, 1) == (_calls(world)[SHARED], _calls(world)["fetcher.send"])


# ── what is captured ────────────────────────────────────────────────────────────────────────────────────────────────


def _varied_world(omitted_answers: float) -> SmallWorld:
    """Partitions with one answer, with none, and with several answers of up to three batches, also transactional."""
    world = SmallWorld()
    world.source = kafka(world.clock, seed=5, nodes=2, omitted_answers=omitted_answers, segment_batches=3)
    world.topic("empty", partitions=3, records=0)
    world.topic("many", partitions=3, records=40)
    world.topic("one", partitions=6, records=5)
    world.topic("transactions", partitions=3, records=3)
    for partition in range(3):
        for ends in ("commit", "abort", "commit"):
            producer = world.source.transactional_producer()
            producer.send(("transactions", partition), world.records(4))
            getattr(producer, ends)()
    for partition in (0, 2):
        world.source.log(("many", partition)).move_start(7)
    return world


def _captured(world: SmallWorld, point: RestorePoint) -> list[tuple[object, ...]]:
    """Everything that was captured: each line without what names the run and its objects, and the bytes of its
    frames."""
    lines = [line for lines in point.lines(point.rows.values()).values() for line in lines]
    unnamed = {"object": None, "sha256": None, "checksum": None, "stored_bytes": None, "captured_ms": 0, "seq": None}
    return [(line.model_copy(update=unnamed), _frames(world, line)) for line in lines]


def _frames(world: SmallWorld, line: IndexLine) -> list[bytes]:
    data = world.store.get(line.object)[0] if line.object else b""
    return [data[one.position : one.position + one.stored_bytes] for one in line.frames]


@pytest.mark.parametrize("omitted_answers", [0.0, 0.3, 0.7])
def test_the_same_lines_and_bytes_are_captured_with_and_without_shared_answers(omitted_answers: float) -> None:
    alone, shared = _varied_world(ALL), _varied_world(omitted_answers)

    expected, found = _one_bin(alone), _one_bin(shared)

    assert "complete" == found.entry.status
    assert expected.entry.totals == found.entry.totals
    assert _captured(alone, expected) == _captured(shared, found)
    saved = _calls(alone)["fetcher.receive"] - _calls(shared)["fetcher.receive"]
    assert 12 * (1 - omitted_answers) / 2 <= saved <= 12
    shared.assert_valid()


def test_without_known_sizes_large_batches_are_read_alone() -> None:
    """The size is then the number of offsets, so that a shared request asks for too little."""
    world = SmallWorld()
    world.topic(partitions=PARTITIONS, records=0)
    for partition in range(PARTITIONS):
        large = [one._replace(value=bytes(100_000)) for one in world.records(2)]
        world.source.producer().send(("orders", partition), large)
    world.faults.give_up("reader.partition_bytes")

    point = _one_bin(world)

    assert ("complete", 2 * PARTITIONS) == (point.entry.status, point.entry.totals.records)
    assert (1, PARTITIONS - 1) == (_calls(world)[SHARED], _calls(world)["fetcher.receive"]), "the first one is whole"
    world.assert_valid()


# ── between a shared answer and its use ─────────────────────────────────────────────────────────────────────────────


def test_what_a_shared_answer_contains_is_captured_although_its_topic_is_deleted(world: SmallWorld) -> None:
    expected = [world.contents("orders", partition, cluster=world.source) for partition in range(PARTITIONS)]

    point = _after_sharing(world, lambda: world.source.delete_topic("orders"))

    assert ("complete", 5 * PARTITIONS) == (point.entry.status, point.entry.totals.records)
    assert [] == world.restore().mismatches
    assert expected == [world.contents("copy", partition) for partition in range(PARTITIONS)]


def test_a_topic_that_is_deleted_before_the_shared_request_is_gone_and_its_neighbours_are_captured(
    world: SmallWorld,
) -> None:
    world.topic("other", partitions=2, records=5)
    world.faults.before(SHARED, lambda: world.source.delete_topic("orders"))

    point = _one_bin(world)

    assert [(number, 0, 5, TOPIC_GONE) for number in range(PARTITIONS)] == _ranges(point.entry.gaps)
    assert 2 * 5 == point.entry.totals.records
    world.assert_valid()


def test_the_rest_of_a_range_whose_topic_was_deleted_is_a_gap(world: SmallWorld) -> None:
    world.send(("orders", 1), 10)
    point = _after_sharing(world, lambda: world.source.delete_topic("orders"))
    assert [(1, 5, 15, TOPIC_GONE)] == _ranges(point.entry.gaps)
    assert 5 * PARTITIONS == point.entry.totals.records


def test_records_deleted_before_the_shared_request_are_trimmed_and_those_after_it_are_a_gap(world: SmallWorld) -> None:
    world.send(("orders", 2), 10)
    world.faults.before(SHARED, lambda: world.source.log(("orders", 1)).move_start(3))

    point = _after_sharing(world, lambda: world.source.log(("orders", 2)).move_start(12))

    assert [(1, 0, 3, "trimmed")] == _ranges(point.entry.trimmed)
    assert [(2, 5, 12, TRIMMED)] == _ranges(point.entry.gaps)


def test_a_log_that_is_cut_after_a_shared_answer_is_read_again_from_there(world: SmallWorld) -> None:
    """The second request of the range has the epoch of the shared answer, from which the new log diverges."""
    world.send(("orders", 1), 10)
    world.source.led(("orders", 1)).replicas = (1, 2)

    def cut() -> None:
        world.source.elect_uncleanly(("orders", 1), end=0)
        world.send(("orders", 1), 10)

    point = _after_sharing(world, cut)

    assert [(1, 10, 15, TRUNCATED)] == _ranges(point.entry.gaps)
    assert [] == world.restore().mismatches
    assert world.contents("orders", 1, cluster=world.source) == world.contents("copy", 1)


def test_records_that_a_cut_log_lost_after_a_shared_answer_are_replaced_by_the_next_run(world: SmallWorld) -> None:
    """As after any answer that reaches the end of its range. The leader epoch of the row shows it."""
    world.source.led(("orders", 1)).replicas = (1, 2)

    def cut() -> None:
        world.source.elect_uncleanly(("orders", 1), end=0)
        world.send(("orders", 1), 5)

    world.faults.after(SHARED, cut)
    lost = world.contents("orders", 1, cluster=world.source)
    _one_bin(world, back_up=incremental_locally)
    world.clock.advance(1)
    world.restore()
    assert lost == world.contents("copy", 1)

    second = world.back_up_changes()

    assert [(1, 0, 5)] == [(note.partition, note.first, note.next) for note in second.entry.truncated]
    world.restore({"orders": "copy-2"})
    assert world.contents("orders", 1, cluster=world.source) == world.contents("copy-2", 1)
    world.assert_valid()


def test_a_transaction_that_ends_after_a_shared_answer_does_not_change_it(world: SmallWorld) -> None:
    """Its records are above the last stable offset of the answer, as they are above the end of the plan."""
    producer = world.source.transactional_producer()
    for partition in range(PARTITIONS):
        producer.send(("orders", partition), world.records(3))

    point = _after_sharing(world, producer.abort)

    assert ("complete", 5 * PARTITIONS) == (point.entry.status, point.entry.totals.records)
    world.restore()
    assert world.contents("orders", 2, cluster=world.source) == world.contents("copy", 2)


# ── failures ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("fault", ["lose_request", "lose_answer", "give_up"])
def test_without_the_shared_answer_every_partition_is_read_alone(world: SmallWorld, fault: str) -> None:
    getattr(world.faults, fault)(SHARED)
    point = _one_bin(world)
    assert ("complete", 5 * PARTITIONS) == (point.entry.status, point.entry.totals.records)
    assert (1, PARTITIONS) == (_calls(world)[SHARED], _calls(world)["fetcher.receive"])


def test_a_partition_without_leader_or_with_a_bad_batch_fails_and_the_others_are_captured(world: SmallWorld) -> None:
    world.faults.before(SHARED, lambda: world.source.elect(("orders", 1), None))
    world.source.log(("orders", 2)).flip_byte(2)

    point = _one_bin(world)

    assert ("partial", [1, 2]) == (point.entry.status, [failure.partition for failure in point.entry.failures])
    assert 2 * 5 == point.entry.totals.records


def test_a_topic_that_may_not_be_read_any_more_is_denied_and_its_neighbours_are_captured() -> None:
    world = SmallWorld()
    world.source = kafka(world.clock, seed=3, has_authorizer=True)
    world.topic("other", partitions=2, records=5)
    world.topic(partitions=2, records=5)
    close = world.source.permissions.allow_only
    world.faults.before(SHARED, lambda: close("reader", "Topic", "orders", "Describe"))
    request = replace(world.request(consumer_group_snapshot=False), most_bins=1)

    point, captured = snapshot_locally(world.context(world.source, user="reader"), request, workers=1)

    assert [True, True] == [one.is_denied for result in captured for one in result.failures]
    assert 2 * 5 == point.entry.totals.records


def test_throttled_answers_are_waited_for(world: SmallWorld) -> None:
    """The shared answers spend the quota, so that the other requests wait."""
    for partition in range(PARTITIONS):
        world.send(("orders", partition), 10)
    world.source.limit_fetching(100)
    began_ms = world.clock.now_ms()

    point = _one_bin(world)

    assert ("complete", 15 * PARTITIONS) == (point.entry.status, point.entry.totals.records)
    assert world.clock.now_ms() > began_ms
    world.assert_valid()


# ── stop and limits ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("is_after", [False, True])
def test_a_stop_around_a_shared_answer_leaves_no_point(world: SmallWorld, is_after: bool) -> None:
    context = world.context(world.source)
    (world.faults.after if is_after else world.faults.before)(SHARED, context.stop.set)
    with refused(InterruptedRunError, "topped", code=130):
        snapshot_locally(context, _request(world), workers=1)


def test_a_stop_between_two_partitions_of_a_shared_answer_leaves_no_point(world: SmallWorld) -> None:
    context = world.context(world.source)
    done: list[Partition] = []

    def progress(partition: Partition, *, records: int, log_bytes: int) -> None:
        done.append(partition)
        context.stop.set()

    with refused(InterruptedRunError, "stopped", code=130):
        snapshot_locally(replace(context, progress=progress), _request(world), workers=1)
    assert 1 == len(done)


def test_a_capture_that_is_told_to_end_keeps_the_ranges_whose_answers_it_used(world: SmallWorld) -> None:
    context, ending = world.context(world.source), threading.Event()
    plan = plan_snapshot(context, _request(world))

    def progress(partition: Partition, *, records: int, log_bytes: int) -> None:
        ending.set()

    result = capture_bin(replace(context, progress=progress), plan, 0, ending=ending)

    assert (True, [(0, 5)]) == (result.is_cut_short, [(one.first, one.next) for one in result.ranges])


def test_the_bytes_of_shared_answers_are_paid_for_one_range_after_the_other(world: SmallWorld) -> None:
    """The request asks for as much as one answer may have. Its bytes take as long as if each range had been alone."""
    context = world.context(world.source)
    plan = plan_snapshot(context, _request(world))
    sizes = [world.source.log(("orders", number)).size_bytes for number in range(PARTITIONS)]
    rate = sum(sizes) // 10
    began_s, seen_s = world.clock.monotonic_s(), list[float]()

    def progress(partition: Partition, *, records: int, log_bytes: int) -> None:
        seen_s.append(world.clock.monotonic_s() - began_s)

    capture_ranges(
        replace(context, progress=progress),
        [CaptureRange(source=one.source, start=one.start, end=one.end, bytes=one.bytes) for one in plan.partitions],
        ObjectSettings.of_plan(plan),
        fetch_bytes=plan.fetch_bytes,
        is_compacted=lambda source: False,
        limit=RateLimit(rate, clock=world.clock.monotonic_s),
    )

    assert 1 == _calls(world)[SHARED]
    assert [pytest.approx(received / rate, abs=0.01) for received in accumulate(sizes)] == seen_s
