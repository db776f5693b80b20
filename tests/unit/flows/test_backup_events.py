"""The events that flows emit for what happened to a cluster since the newest point. The cluster is simulated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from blocks import KafkaCluster, LocalRepository
from flows.backup import incremental_backup
from flows.continuous import continuous_backup
from tasks.config import adapters
from tasks.engine.evidence.store_evidence import store_evidence
from tasks.flow_support import states
from tasks.store.local.local_store import LocalStore
from tests.simulation.rules.small_world import DAY_MS, SmallWorld
from tests.support.made_backup import make_repository
from tests.support.made_drill import full_context, passed_drill


def _incremental(name: str) -> None:
    state = incremental_backup(name, name, name, return_state=True)
    assert state.is_completed(), state


def _continuous(name: str) -> None:
    state = continuous_backup(name, name, name, cycle_seconds=1, run_for="1s", return_state=True)
    assert state.is_completed(), state


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> SmallWorld:
    """A small world, whose source every block is."""
    world = SmallWorld()
    monkeypatch.setattr(adapters, "cluster_access", lambda section, on_waiting: world.source.access())
    return world


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """(name, sentence) of every event that is emitted."""
    found: list[tuple[str, str]] = []
    monkeypatch.setattr(
        states, "emit_event", lambda name, *, resource, payload: found.append((name, payload["message"]))
    )
    return found


def _trouble(world: SmallWorld) -> None:
    """Something happens to every topic."""
    world.source.log(("gap", 0)).move_start(12)
    world.source.elect_uncleanly(("truncated", 0), end=5)
    world.source.delete_topic("deleted")
    world.source.delete_topic("again")
    world.topic("again")
    world.send(("stalled", 0), 5)


@pytest.mark.parametrize("back_up", [_incremental, _continuous])
def test_a_flow_emits_an_event_for_each_thing_that_somebody_should_know(
    back_up: Callable[[str], None],
    world: SmallWorld,
    events: list[tuple[str, str]],
    client: object,
    tmp_path: Path,
) -> None:
    name = f"trouble-{uuid4().hex[:8]}"
    KafkaCluster(bootstrap_servers=["127.0.0.1:9"]).save(name)
    make_repository(LocalStore(tmp_path, create=True))
    LocalRepository(path=str(tmp_path)).save(name)
    for topic in ("gap", "truncated", "deleted", "again", "stalled"):
        world.topic(topic)
    world.source.transactional_producer(timeout_ms=DAY_MS).send(("stalled", 0), world.records(5))
    back_up(name)
    assert [] == events
    world.send(("gap", 0), 5)
    _trouble(world)

    back_up(name)

    told = {event: sentence for event, sentence in events if not event.startswith("kafka-backup.point")}
    assert {
        "kafka-backup.gap.found",
        "kafka-backup.log.truncated",
        "kafka-backup.topic.deleted",
        "kafka-backup.topic.recreated",
        "kafka-backup.transaction.stalled",
    } == told.keys()
    assert "gap: 2 offsets (first: partition 0, 10 to 11) are not in the backup" in told["kafka-backup.gap.found"]
    assert "truncated: the cluster lost 5 offsets (first: partition 0, 5 to 9)" in told["kafka-backup.log.truncated"]
    assert "topic deleted: deleted (" in told["kafka-backup.topic.deleted"]
    assert "topic created again: again (" in told["kafka-backup.topic.recreated"]
    assert "stalled: 10 offsets (first: partition 0, 10 to 19)" in told["kafka-backup.transaction.stalled"]


def test_a_backup_says_that_drills_of_its_set_are_overdue(
    world: SmallWorld, events: list[tuple[str, str]], client: object, tmp_path: Path
) -> None:
    name = f"overdue-{uuid4().hex[:8]}"
    KafkaCluster(bootstrap_servers=["127.0.0.1:9"]).save(name)
    made = make_repository(LocalStore(tmp_path, create=True))
    LocalRepository(path=str(tmp_path)).save(name)
    world.topic()
    _incremental(name)
    drill = passed_drill()
    drill = replace(
        drill,
        data=replace(drill.data, set_name=name),
        times=replace(drill.times, started_ms=1_700_000_000_000),  # long before the clock of any machine
    )
    store_evidence(made, drill, full_context(), None)
    assert not [event for event, _ in events if "drill" in event]

    _incremental(name)

    [sentence] = [sentence for event, sentence in events if event == "kafka-backup.drill.overdue"]
    assert f"restore drills of {name} are overdue for 1 topic (orders)" in sentence
