"""Archived objects: never a success for what could not be read, no change of the target, and no request more than
before."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tasks.engine.archived import archived_of_point
from tasks.engine.thaw_objects import Thawed, thaw_objects
from tasks.engine.validate import ValidationResult, validate_locally
from tasks.engine.validation.objects import Level
from tasks.model.errors import ConfigError, RefusedError
from tasks.reports.validation import archived_note, validation_headline, verdict_text
from tasks.repository.points import PointReference
from tests.simulation.rules.small_world import DAY_MS, SET, SmallWorld, refused, said
from tests.support.archiving_store import ArchivingStore
from tests.support.counting_store import CountingStore


@pytest.fixture(params=[True, False], ids=["states-listed", "states-by-head"])
def world(request: pytest.FixtureRequest) -> SmallWorld:
    """Two topics, each with an object of its own, one partition of `orders` in two objects of two points."""
    made = SmallWorld()
    made.store = ArchivingStore(now_ms=made.clock.now_ms, lists_states=request.param)
    made.topic("orders")
    made.back_up()
    made.send(("orders", 0))
    made.back_up_changes()
    made.topic("payments")
    made.back_up_changes()
    return made


def _store(world: SmallWorld) -> ArchivingStore:
    assert isinstance(world.store, ArchivingStore)
    return world.store


def _archive(world: SmallWorld, *topics: str) -> list[str]:
    """Archive all data of these topics in the newest point."""
    point = world.point()
    rows = [row for row in point.rows.values() if row.topic in topics]
    keys = sorted({line.object for lines in point.lines(rows).values() for line in lines if line.object})
    _store(world).archive(keys)
    return keys


def _validate(world: SmallWorld, level: Level) -> ValidationResult:
    return validate_locally(world.context(world.source), PointReference(SET), level=level)


def _thaw(world: SmallWorld, topics: Sequence[str] = ()) -> Thawed:
    context = world.context(world.source)
    return thaw_objects(context, _store(world), world.point(), topics=topics, days=7, tier="Standard")


def test_a_restore_of_archived_objects_is_refused_before_anything_is_changed(world: SmallWorld) -> None:
    keys = _archive(world, "orders")
    [(subject, message)] = said(world.preview().findings, "error")
    assert f"{SET}@3" == subject
    assert f"{len(keys)} objects with" in message
    assert f"`kafka-backup thaw-objects --config FILE --backup-id {SET}@3 --topics orders`" in message

    with refused(RefusedError, "are archived", code=3):
        world.restore()

    assert ([], []) == (list(world.restores()), sorted(world.target.topics.by_name))


def test_topics_whose_objects_are_not_archived_are_restored(world: SmallWorld) -> None:
    _archive(world, "orders")
    assert [] == list(world.restore({"payments": "copy"}).mismatches)


def test_an_archived_line_that_was_clipped_inside_a_batch_does_not_end_the_preflight(world: SmallWorld) -> None:
    """The records of such a line can only be counted by reading its object."""
    world.source.elect_uncleanly(("orders", 0), end=5)
    world.send(("orders", 0), 5)
    [row] = [row for row in world.back_up_changes().rows.values() if row.topic == "orders"]
    lines = world.point().lines([row])[row.source]
    assert any(line.is_cut(frame) for line in lines for frame in line.frames)
    _archive(world, "orders")
    assert 1 == len(said(world.preview().findings, "error"))


def test_a_validation_in_full_never_calls_archived_objects_undamaged(world: SmallWorld) -> None:
    keys = _archive(world, "orders")
    result = _validate(world, "full")

    assert ((), False, len(keys)) == (result.findings, result.is_everything_read, result.archived.objects)
    assert 0 < result.archived.bytes
    assert "no damage found" != verdict_text(result)
    assert "not everything was read" in validation_headline(result, "full")
    assert "thaw-objects" in (archived_note(result) or "")


def test_damage_beside_archived_objects_is_found(world: SmallWorld) -> None:
    _archive(world, "orders")
    point = world.point()
    [key] = {
        line.object for row in point.rows.values() if row.topic == "payments" for line in point.lines([row])[row.source]
    }
    world.store.put(key or "", [b"damaged"])
    assert 1 == len(_validate(world, "full").findings)


def test_a_quick_validation_counts_archived_objects_as_present_and_says_so(world: SmallWorld) -> None:
    keys = _archive(world, "orders")
    result = _validate(world, "quick")
    assert ((), True, len(keys)) == (result.findings, result.is_everything_read, result.archived.objects)
    assert "They exist, and cannot be read" in (archived_note(result) or "")


def test_objects_come_back_and_then_everything_can_be_read(world: SmallWorld) -> None:
    keys = _archive(world, "orders")
    assert len(keys) == archived_of_point(world.point()).objects

    first = _thaw(world)
    assert (3, len(keys), len(keys), False) == (first.needed, first.requested, first.archived.returning, first.is_done)
    again = _thaw(world)
    assert (0, len(keys), False) == (again.requested, again.archived.returning, again.is_done)
    _store(world).arrive()
    last = _thaw(world)

    assert (0, len(keys), True) == (last.requested, last.archived.readable, last.is_done)
    assert world.clock.now_ms() + 6 * DAY_MS < (last.archived.readable_until_ms or 0)
    assert keys == sorted(_store(world).asked)
    assert _validate(world, "full").is_everything_read
    assert [] == list(world.restore().mismatches)


def test_objects_that_can_be_read_for_less_than_a_day_are_asked_for_again(world: SmallWorld) -> None:
    keys = _archive(world, "orders")
    _thaw(world)
    _store(world).arrive(days=3)
    world.clock.advance(2 * DAY_MS + 1)
    assert len(keys) == _thaw(world).requested
    assert 0 == _thaw(world).requested


def test_only_the_objects_of_the_selected_topics_are_asked_for(world: SmallWorld) -> None:
    keys = _archive(world, "orders")
    others = _archive(world, "payments")
    thawed = _thaw(world, ["pay*"])
    assert (1, 1, others) == (thawed.needed, thawed.requested, _store(world).asked)
    _thaw(world, ["orders"])
    assert sorted(keys + others) == sorted(_store(world).asked)
    with pytest.raises(ConfigError, match="no topic ordres"):
        _thaw(world, ["ordres"])


def test_an_older_point_asks_only_for_its_own_objects(world: SmallWorld) -> None:
    _archive(world, "orders", "payments")
    first = world.repository.point(PointReference(SET, seq=1))
    thaw_objects(world.context(world.source), _store(world), first, days=7, tier="Standard")
    assert 1 == len(_store(world).asked)


def test_objects_whose_archive_no_listing_shows_are_asked_for_and_come_back(world: SmallWorld) -> None:
    """The archive tiers of INTELLIGENT_TIERING."""
    _store(world).hides_archives = True
    keys = _archive(world, "orders")

    first = _thaw(world)
    assert (len(keys), len(keys), False) == (first.requested, first.archived.returning, first.is_done)
    again = _thaw(world)
    assert (0, len(keys), False) == (again.requested, again.archived.returning, again.is_done)
    _store(world).arrive()

    assert (0, True) == (_thaw(world).requested, _thaw(world).is_done)
    assert keys == sorted(_store(world).asked)
    assert [] == list(world.restore().mismatches)


@pytest.mark.parametrize("archives", [False, True])
def test_archives_cost_a_restore_and_a_validation_no_further_request(world: SmallWorld, archives: bool) -> None:
    if archives:
        _archive(world, "orders", "payments")
    counting = CountingStore(world.store)
    world.store = counting
    world.preview({"orders": "a", "payments": "b"})
    assert (3, 0, 0) == tuple(counting.count(kind, "data/") for kind in ("head", "get", "list"))

    counting.requests.clear()
    _validate(world, "quick")
    assert (3, 0, 0) == tuple(counting.count(kind, "data/") for kind in ("head", "get", "list"))

    counting.requests.clear()
    _validate(world, "full")
    assert (0, 3, 0) == tuple(counting.count(kind, "data/") for kind in ("head", "get", "list"))

    counting.requests.clear()
    archived_of_point(world.point())
    assert (0, 0, 1) == tuple(counting.count(kind, "data/") for kind in ("head", "get", "list"))
