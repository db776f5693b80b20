"""A flow that needs archived objects waits for them without a process, and continues with the point that it chose.

The deployment has no worker: the test itself starts a run again, as a worker does when its time has come.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import State
from prefect.exceptions import Pause
from prefect.flow_engine import run_flow
from prefect.flows import Flow
from prefect.states import Pending
from prefect.types.entrypoint import EntrypointType
from pydantic import ValidationError

from blocks import LocalRepository
from flows.validate import validate
from tasks.engine.options import RetentionPolicy, ThawOptions
from tasks.engine.prune import prune_locally
from tasks.engine.run_context import RunContext
from tasks.flow_support import archived_wait, states, wiring
from tasks.repository.pins import LONGEST_LIFE_MS, live_pins
from tasks.repository.repository import Repository
from tests.support.archiving_store import ArchivingStore
from tests.support.made_backup import SET, back_up, keys
from tests.support.made_logs import plain_log

HOUR_MS = 3_600_000
THAW = {"tier": "Bulk", "days": 3, "check_every": "2h"}


class Runs:
    """A set with one point, all of whose objects are archived, and runs of a deployment of `validate`."""

    def __init__(self, client: SyncPrefectClient, monkeypatch: pytest.MonkeyPatch) -> None:
        self.client = client
        self.ahead_ms = 0
        self.store = ArchivingStore(now_ms=self.now_ms)
        self.repository = Repository.open_or_create(self.store, self.now_ms)
        back_up(self.repository, [plain_log("orders", batches=2)])
        self.objects = keys(self.store, "data/")
        self.store.archive(self.objects)
        self.block = f"archive-{uuid4().hex[:8]}"
        LocalRepository(path="/archive").save(self.block)
        monkeypatch.setattr(wiring, "store_of", lambda section, **how: self.store)
        monkeypatch.setattr(wiring, "open_archive", lambda settings, **how: self.store)
        monkeypatch.setattr(wiring, "now_ms", self.now_ms)
        monkeypatch.setattr(archived_wait, "now_ms", self.now_ms)
        deployment = validate.to_deployment(self.block, entrypoint_type=EntrypointType.MODULE_PATH)
        self._deployment: UUID = deployment.apply()  # type: ignore[union-attr, assignment]

    def now_ms(self) -> int:
        """The time of the store and the flow."""
        return time.time_ns() // 1_000_000 + self.ahead_ms

    def start(self, **parameters: Any) -> tuple[UUID, State[Any]]:
        """Start a run of the deployment. Returns its id and the state in which its process ended."""
        given = {"backup_id": SET, "repository": self.block, **parameters}
        run = self.client.create_flow_run_from_deployment(self._deployment, parameters=given)
        return run.id, self.go_on(run.id)

    def go_on(self, run: UUID) -> State[Any]:
        """Execute the run in this process, as a worker does. Returns the state in which that ended."""
        self.client.set_flow_run_state(run, Pending(), force=True)
        flow_run = self.client.read_flow_run(run)
        as_flow: Flow[..., Any] = validate
        with suppress(Pause):  # a run that waits ends its process with it
            run_flow(as_flow, flow_run=flow_run, parameters=flow_run.parameters, return_type="state")
        state = self.client.read_flow_run(run).state
        assert state is not None
        return state

    def prune_all_but_the_newest(self) -> None:
        """A new point, and a prune that would delete all of the others at once, if nobody read them."""
        back_up(self.repository, [plain_log("orders", batches=3)])
        policy = RetentionPolicy(keep_last=1, grace="1s")
        prune_locally(RunContext(repository=self.repository), SET, policy)
        self.ahead_ms += 2_000
        prune_locally(RunContext(repository=self.repository), SET, policy)


@pytest.fixture
def runs(client: SyncPrefectClient, monkeypatch: pytest.MonkeyPatch) -> Runs:
    return Runs(client, monkeypatch)


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the events that are emitted."""
    found: list[str] = []
    monkeypatch.setattr(states, "emit_event", lambda name, *, resource, payload: found.append(name))
    return found


def test_a_run_asks_for_archived_objects_waits_without_a_process_and_then_reads_its_point(
    runs: Runs, events: list[str]
) -> None:
    run, waiting = runs.start(thaw=THAW)

    assert ("SCHEDULED", archived_wait.WAITING) == (waiting.type.value, waiting.name)
    start = waiting.state_details.scheduled_time
    assert start is not None
    assert 118 * 60 < start.timestamp() - time.time() <= 120 * 60
    assert runs.objects == sorted(runs.store.asked)
    assert "1 object requested now" in (waiting.message or "")
    assert ["kafka-backup.objects.requested"] == events

    runs.ahead_ms = 2 * HOUR_MS
    assert archived_wait.WAITING == runs.go_on(run).name
    assert runs.objects == sorted(runs.store.asked), "nothing is asked for twice"
    runs.store.arrive(days=3)
    done = runs.go_on(run)

    assert "Completed" == done.name
    assert f"{SET}@1: no damage found" in (done.message or "")
    assert [] == keys(runs.store, "pins/")


def test_the_point_of_a_waiting_run_is_kept_whatever_is_pruned_and_whichever_is_the_newest(runs: Runs) -> None:
    run, _ = runs.start(thaw=THAW)
    runs.ahead_ms = 25 * HOUR_MS
    assert {1} == live_pins(runs.store, SET, now_ms=runs.now_ms())
    runs.prune_all_but_the_newest()
    assert set(runs.objects) <= set(keys(runs.store, "data/"))
    runs.store.arrive()

    done = runs.go_on(run)

    assert f"{SET}@1: no damage found" in (done.message or "")
    runs.prune_all_but_the_newest()
    assert set() == set(runs.objects) & set(keys(runs.store, "data/"))


def test_the_pin_of_a_run_that_never_goes_on_ends_by_itself(runs: Runs) -> None:
    runs.start(thaw={**THAW, "check_every": "24h"})
    runs.ahead_ms = LONGEST_LIFE_MS + 1
    assert set() == live_pins(runs.store, SET, now_ms=runs.now_ms())
    runs.prune_all_but_the_newest()
    assert set() == set(runs.objects) & set(keys(runs.store, "data/"))


def test_without_permission_nothing_is_asked_for(runs: Runs) -> None:
    assert "Partial" == runs.start()[1].name
    assert [] == runs.store.asked


def test_a_quick_validation_reads_no_data_and_asks_for_nothing(runs: Runs) -> None:
    assert "Completed" == runs.start(level="quick", thaw=THAW)[1].name
    assert [] == runs.store.asked


def test_a_run_gives_up_if_the_objects_do_not_come_back(runs: Runs) -> None:
    run, _ = runs.start(thaw={**THAW, "give_up_after": "1d"})
    runs.ahead_ms = 25 * HOUR_MS
    ended = runs.go_on(run)

    assert ("FAILED", True) == (ended.type.value, "They are not back 1d after" in (ended.message or ""))
    assert [] == keys(runs.store, "pins/")


def test_a_run_without_a_deployment_asks_and_says_that_it_cannot_wait(runs: Runs) -> None:
    ended: State[Any] = validate(SET, runs.block, thaw=ThawOptions(), return_state=True)
    assert ("FAILED", True) == (ended.type.value, "it has no deployment" in (ended.message or ""))
    assert runs.objects == sorted(runs.store.asked)


@pytest.mark.parametrize("given", ["9s", "25h", "2d"])
def test_a_wait_is_checked_at_least_once_a_day_because_its_pin_ends(given: str) -> None:
    with pytest.raises(ValidationError, match="between 10s and 24h"):
        ThawOptions(check_every=given)
