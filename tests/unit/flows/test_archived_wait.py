"""A flow that needs archived objects waits for them without a process, and continues with the point that it chose.

The deployment has no worker: the test itself starts a run again, as a worker does when its time has come.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any
from uuid import UUID, uuid4

import pytest
from httpx import ConnectError
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import State
from prefect.exceptions import ObjectNotFound, Pause
from prefect.flow_engine import run_flow
from prefect.flows import Flow
from prefect.states import Pending
from prefect.types.entrypoint import EntrypointType
from pydantic import ValidationError

from blocks import LocalRepository
from flows.validate import validate
from tasks.engine.archived import ArchivedObjects
from tasks.engine.options import RetentionPolicy, ThawOptions
from tasks.engine.prune import prune_locally
from tasks.engine.run_context import RunContext
from tasks.engine.thaw_objects import Thawed
from tasks.flow_support import archived_wait, states, wiring
from tasks.flow_support.open_flow import open_flow
from tasks.repository.pins import LONGEST_LIFE_MS, live_pins
from tasks.repository.points import PointReference
from tasks.repository.repository import Repository
from tests.support.archiving_store import ArchivingStore
from tests.support.made_backup import SET, back_up, keys
from tests.support.made_logs import plain_log

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
THAW = {"tier": "Bulk", "days": 3, "check_every": "2h"}


@flow(persist_result=False)
def misled(repository: str, thaw: ThawOptions) -> State[Any]:
    """Always finds that all objects are back, and always needs to wait."""
    back = Thawed(needed=1, requested=0, archived=ArchivedObjects(readable=1))
    with open_flow(repository) as opened:
        return archived_wait.await_objects(opened.repository_name, PointReference(SET, seq=1), thaw, back)


class Runs:
    """A set with one point, all of whose objects are archived, and runs of a deployment of a flow, which is `validate`
    unless another is given."""

    def __init__(
        self, client: SyncPrefectClient, monkeypatch: pytest.MonkeyPatch, flow: Flow[..., Any] = validate
    ) -> None:
        self.client = client
        self.flow = flow
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
        deployment = flow.to_deployment(self.block, entrypoint_type=EntrypointType.MODULE_PATH)
        self._deployment: UUID = deployment.apply()  # type: ignore[union-attr, assignment]

    def now_ms(self) -> int:
        """The time of the store and the flow."""
        return time.time_ns() // 1_000_000 + self.ahead_ms

    def start(self, **parameters: Any) -> tuple[UUID, State[Any]]:
        """Start a run of the deployment. Returns its id and the state in which its process ended."""
        given = {"repository": self.block, **parameters}
        if self.flow is validate:
            given["backup_id"] = SET
        run = self.client.create_flow_run_from_deployment(self._deployment, parameters=given)
        return run.id, self.go_on(run.id)

    def go_on(self, run: UUID) -> State[Any]:
        """Execute the run in this process, as a worker does. Returns the state in which that ended."""
        self.client.set_flow_run_state(run, Pending(), force=True)
        flow_run = self.client.read_flow_run(run)
        with suppress(Pause):  # a run that waits ends its process with it
            run_flow(self.flow, flow_run=flow_run, parameters=flow_run.parameters, return_type="state")
        state = self.client.read_flow_run(run).state
        assert state is not None
        return state

    def prune_all_but_the_newest(self) -> None:
        """Make a new point, and prune: all other points that are not read are deleted at once."""
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


def test_a_run_that_gave_up_can_be_retried_and_waits_anew(runs: Runs) -> None:
    run, _ = runs.start(thaw={**THAW, "give_up_after": "1d"})
    runs.ahead_ms = 25 * HOUR_MS
    assert "FAILED" == runs.go_on(run).type.value

    assert archived_wait.WAITING == runs.go_on(run).name
    runs.ahead_ms += 23 * HOUR_MS
    assert archived_wait.WAITING == runs.go_on(run).name
    runs.ahead_ms += 2 * HOUR_MS
    assert "FAILED" == runs.go_on(run).type.value


def test_a_run_that_has_waited_and_is_retried_much_later_waits_anew_for_the_same_point(runs: Runs) -> None:
    run, _ = runs.start(thaw={**THAW, "give_up_after": "1d"})
    runs.store.arrive(days=3)
    assert "Completed" == runs.go_on(run).name
    back_up(runs.repository, [plain_log("orders", batches=3)])
    runs.store.archive(runs.objects)
    runs.ahead_ms = 5 * DAY_MS

    waiting = runs.go_on(run)

    assert (archived_wait.WAITING, True) == (waiting.name, f"{SET}@1: " in (waiting.message or ""))


def test_objects_whose_archive_no_listing_shows_are_asked_for_and_waited_for(runs: Runs) -> None:
    runs.store.hides_archives = True
    runs.store.archive(runs.objects)

    run, waiting = runs.start(thaw=THAW)

    assert (archived_wait.WAITING, runs.objects) == (waiting.name, sorted(runs.store.asked))
    runs.store.arrive()
    assert "Completed" == runs.go_on(run).name


def test_a_run_that_cannot_read_objects_that_are_back_starts_at_once_only_once_and_gives_up(
    client: SyncPrefectClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = Runs(client, monkeypatch, misled)
    thaw = {**THAW, "give_up_after": "1d"}

    run, first = runs.start(thaw=thaw)
    second = runs.go_on(run)

    delays = [(one.state_details.scheduled_time.timestamp() - time.time()) // 3600 for one in (first, second)]  # type: ignore[union-attr]
    assert [-1, 1] == delays
    runs.ahead_ms = 25 * HOUR_MS
    ended = runs.go_on(run)
    assert ("FAILED", True) == (ended.type.value, "cannot read all objects 1d after" in (ended.message or ""))
    assert [] == keys(runs.store, "pins/")


def test_a_run_does_not_wait_for_a_point_that_has_expired_meanwhile(
    client: SyncPrefectClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = Runs(client, monkeypatch, misled)
    runs.prune_all_but_the_newest()

    _, ended = runs.start(thaw=THAW)

    assert ("FAILED", True) == (ended.type.value, f"{SET}@1 has expired meanwhile" in (ended.message or ""))
    assert [] == keys(runs.store, "pins/")


@pytest.mark.parametrize("error", [ConnectError("no"), ObjectNotFound(Exception("no"))])
def test_an_error_of_the_server_while_a_wait_is_planned_is_one_clear_sentence(
    runs: Runs, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(SyncPrefectClient, "update_flow_run_labels", refuse)

    _, ended = runs.start(thaw=THAW)

    sentence = f"The Prefect server did not store the wait of this run: {type(error).__name__}. Check the server and"
    assert ("FAILED", True) == (ended.type.value, sentence in (ended.message or ""))


@pytest.mark.parametrize("given", ["9s", "25h", "2d"])
def test_a_wait_is_checked_at_least_once_a_day_because_its_pin_ends(given: str) -> None:
    with pytest.raises(ValidationError, match="between 10s and 24h"):
        ThawOptions(check_every=given)
