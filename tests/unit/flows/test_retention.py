"""The flow `retention`: a plan that takes many points away waits for an approval, which is valid for this plan alone.

The deployment has no worker: the test itself starts a run again after it was resumed, as a worker does.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import ArtifactFilter
from prefect.client.schemas.objects import State
from prefect.exceptions import Pause
from prefect.flow_engine import run_flow
from prefect.flows import Flow
from prefect.states import AwaitingRetry
from prefect.types.entrypoint import EntrypointType

from blocks import LocalRepository
from flows.retention import retention
from tasks.engine.holds import add_hold
from tasks.engine.options import RetentionPolicy
from tasks.engine.prune import change_points, plan_prune
from tasks.engine.retention.prune_plan import PrunePlan
from tasks.engine.run_context import RunContext
from tasks.flow_support import states
from tasks.repository.entries import ExpireEntry
from tasks.repository.repository import Repository
from tasks.store.local.local_store import LocalStore
from tests.support.made_backup import SET, back_up, make_repository
from tests.support.made_logs import plain_log

POINTS = 4
LAST_ONE = RetentionPolicy(keep_last=1)


class Runs:
    """A set with some points, and runs of a deployment of the flow."""

    def __init__(self, client: SyncPrefectClient, folder: Path) -> None:
        self.client = client
        self.repository: Repository = make_repository(LocalStore(folder, create=True))
        for _ in range(POINTS):
            self.add_point()
        self.block = f"retention-{uuid4().hex[:8]}"
        LocalRepository(path=str(folder)).save(self.block)
        deployment = retention.to_deployment(self.block, entrypoint_type=EntrypointType.MODULE_PATH)
        self._deployment: UUID = deployment.apply()  # type: ignore[union-attr, assignment]

    def add_point(self) -> int:
        """One more snapshot."""
        return back_up(self.repository, [plain_log("orders", batches=2)]).seq

    def live(self) -> list[int]:
        """The live points."""
        return list(self.repository.state(SET).points)

    def expiries(self) -> list[ExpireEntry]:
        """The entries by which points expired."""
        return [entry for entry in self.repository.log(SET).entries() if isinstance(entry, ExpireEntry)]

    def plan(self) -> PrunePlan:
        """The plan, now."""
        return plan_prune(RunContext(repository=self.repository), SET, LAST_ONE)

    def start(self, **parameters: Any) -> tuple[UUID, State[Any]]:
        """Start a run of the deployment. Returns its id and the state in which its process ended."""
        given = {"backup_id": SET, "repository": self.block, "policy": LAST_ONE.model_dump(), **parameters}
        run = self.client.create_flow_run_from_deployment(self._deployment, parameters=given)
        return run.id, self.go_on(run.id)

    def go_on(self, run: UUID) -> State[Any]:
        """Execute the run in this process, as a worker does. Returns the state in which that ended."""
        flow_run = self.client.read_flow_run(run)
        as_flow: Flow[..., Any] = retention
        with suppress(Pause):  # a suspended run ends with it
            run_flow(as_flow, flow_run=flow_run, parameters=flow_run.parameters, return_type="state")
        state = self.client.read_flow_run(run).state
        assert state is not None
        return state

    def answer(self, run: UUID, **form: Any) -> State[Any]:
        """Fill in the form of a suspended run, and execute the run again."""
        answered = self.client.resume_flow_run(run, run_input=form)
        assert "ACCEPT" == answered.status.value, answered.details
        return self.go_on(run)


@pytest.fixture
def runs(client: SyncPrefectClient, tmp_path: Path) -> Runs:
    return Runs(client, tmp_path)


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """(name, payload) of every event that is emitted."""
    found: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(states, "emit_event", lambda name, *, resource, payload: found.append((name, payload)))
    return found


def _form(runs: Runs, run: UUID) -> tuple[str, dict[str, Any]]:
    """The text of the form of a suspended run, and its schema."""
    state = runs.client.read_flow_run(run).state
    assert state is not None
    keys = state.state_details.run_input_keyset
    assert keys is not None
    parts = [
        runs.client.request("GET", "/flow_runs/{id}/input/{key}", path_params={"id": run, "key": keys[name]}).json()
        for name in ("description", "schema")
    ]
    return str(parts[0]), dict(parts[1])


def test_a_large_plan_is_carried_out_only_after_somebody_has_approved_it(
    runs: Runs, events: list[tuple[str, dict[str, Any]]]
) -> None:
    sha256 = runs.plan().sha256

    run, asked = runs.start()
    assert ("PAUSED", "Suspended") == (asked.type.value, asked.name)
    assert POINTS == len(runs.live())
    done = runs.answer(run, approve=True, approved_by="Ada Lovelace")

    assert ("COMPLETED", "Completed") == (done.type.value, done.name)
    assert 1 == len(runs.live())
    [expiry] = runs.expiries()
    assert (sha256, "Ada Lovelace") == (expiry.plan_sha256, expiry.approved_by)
    assert ["kafka-backup.retention.approval-needed", "kafka-backup.retention.pruned"] == [name for name, _ in events]
    numbers = {"expired": POINTS - 1, "kept": 1, "removed": 0, "deleted_objects": 0}
    assert {**numbers, "approved_by": "Ada Lovelace"}.items() <= events[-1][1].items()


def test_the_form_shows_the_plan_and_needs_a_name(runs: Runs) -> None:
    run, _ = runs.start()

    text, schema = _form(runs, run)

    assert "3 of 4 points would expire, which is more than 50 %" in text
    assert [f"{SET}@{seq}" in text for seq in (1, 2, 3, 4)] == [True, True, True, False]
    assert "keep_last: 1" in text
    assert runs.plan().sha256 in text
    assert {"approve", "approved_by"} == schema["properties"].keys()
    assert all(field["title"] and field["description"] for field in schema["properties"].values())
    for form in ({}, {"approve": True}, {"approve": True, "approved_by": "  "}, {"approve": 7, "approved_by": "x"}):
        assert "REJECT" == runs.client.resume_flow_run(run, run_input=form).status.value
    assert POINTS == len(runs.live())


def test_a_refusal_changes_nothing_and_is_no_failure(runs: Runs, events: list[tuple[str, dict[str, Any]]]) -> None:
    run, _ = runs.start()

    ended = runs.answer(run, approve=False, approved_by="Ada")

    assert ("COMPLETED", "Refused") == (ended.type.value, ended.name)
    assert "Ada refused the plan" in (ended.message or "")
    assert "kafka-backup.retention.refused" == events[-1][0]
    assert POINTS == len(runs.live())


def test_an_answer_without_a_yes_is_a_refusal(runs: Runs) -> None:
    run, _ = runs.start()

    assert "Refused" == runs.answer(run, approved_by="Ada").name


def test_an_approved_plan_is_carried_out_although_there_is_a_new_point(runs: Runs) -> None:
    run, _ = runs.start()
    new = runs.add_point()

    assert "Completed" == runs.answer(run, approve=True, approved_by="Ada").name

    assert [POINTS, new] == runs.live()


def test_a_plan_that_has_changed_since_it_was_approved_is_asked_for_again(runs: Runs) -> None:
    run, _ = runs.start()
    runs.add_point()
    add_hold(runs.repository, SET, "case", [1], reason="audit", by="legal")

    asked = runs.answer(run, approve=True, approved_by="Ada")

    assert "Suspended" == asked.name
    assert POINTS + 1 == len(runs.live())
    text, _ = _form(runs, run)
    assert "the plan that Ada approved is not the plan any more" in text
    assert runs.plan().sha256 in text
    assert "Completed" == runs.answer(run, approve=True, approved_by="Bob").name
    assert ["Bob"] == [entry.approved_by for entry in runs.expiries()]
    assert [1, runs.repository.state(SET).newest_point] == runs.live()


def test_an_approval_is_not_valid_for_a_smaller_plan_that_would_need_none(runs: Runs) -> None:
    """Two points come under a hold, so that only one of five expires. Nobody has seen this plan."""
    run, _ = runs.start(approve_above_points=2, approve_above_percent=None)
    context = RunContext(repository=runs.repository)
    other = plan_prune(context, SET, RetentionPolicy(keep_last=2))
    change_points(runs.repository, other)

    asked = runs.answer(run, approve=True, approved_by="Ada")

    assert "Suspended" == asked.name
    assert [3, 4] == runs.live()


def test_a_refusal_holds_for_a_plan_that_has_changed(runs: Runs) -> None:
    run, _ = runs.start()
    runs.add_point()

    assert "Refused" == runs.answer(run, approve=False, approved_by="Ada").name
    assert POINTS + 1 == len(runs.live())


def test_a_run_that_is_retried_after_its_end_asks_again(runs: Runs) -> None:
    run, _ = runs.start()
    runs.answer(run, approve=False, approved_by="Ada")

    _retry(runs, run)
    asked = runs.go_on(run)

    assert "Suspended" == asked.name
    assert "Completed" == runs.answer(run, approve=True, approved_by="Ada").name


def _retry(runs: Runs, run: UUID) -> None:
    """What Retry in Prefect's UI does."""
    runs.client.set_flow_run_state(run, AwaitingRetry())


@pytest.mark.parametrize(
    ("limits", "is_asked"),
    [
        ({}, True),
        ({"approve_above_percent": 75}, False),
        ({"approve_above_percent": 74}, True),
        ({"approve_above_percent": None}, False),
        ({"approve_above_percent": None, "approve_above_points": 3}, False),
        ({"approve_above_percent": None, "approve_above_points": 2}, True),
        ({"approve_above_percent": 100, "approve_above_points": 0}, True),
    ],
)
def test_a_limit_is_a_share_or_a_number_of_points(runs: Runs, limits: dict[str, int | None], *, is_asked: bool) -> None:
    _, state = runs.start(**limits)

    assert ("Suspended" if is_asked else "Completed") == state.name


def test_with_zero_a_plan_by_which_nothing_expires_needs_no_approval(runs: Runs) -> None:
    policy = RetentionPolicy(keep_last=POINTS).model_dump()

    assert "Completed" == runs.start(policy=policy, approve_above_points=0, approve_above_percent=0)[1].name


def test_a_digest_that_is_given_skips_the_form_for_its_plan_alone(runs: Runs) -> None:
    assert "Suspended" == runs.start(approval=f"1-1-{'0' * 64}")[1].name
    assert "Completed" == runs.start(approval=runs.plan().id)[1].name
    assert [None] == [entry.approved_by for entry in runs.expiries()]


def test_a_run_without_a_deployment_cannot_wait_and_says_what_to_do(
    runs: Runs, events: list[tuple[str, dict[str, Any]]]
) -> None:
    state: State[Any] = retention(SET, runs.block, LAST_ONE, return_state=True)

    assert "FAILED" == state.type.value
    hint = "This run cannot wait for an approval. If the plan is right, run it with the approval "
    _, found, plan = (state.message or "").partition(hint)
    assert found
    assert ["kafka-backup.retention.approval-needed"] == [name for name, _ in events]
    assert POINTS == len(runs.live())
    assert "Completed" == retention(SET, runs.block, LAST_ONE, approval=plan.removesuffix("."), return_state=True).name


def test_the_artifacts_are_the_plan_and_what_was_done(runs: Runs) -> None:
    run, _ = runs.start(approval=runs.plan().id)

    wanted = ArtifactFilter.model_validate({"flow_run_id": {"any_": [run]}})
    found = {artifact.key: artifact.data for artifact in runs.client.read_artifacts(artifact_filter=wanted)}

    rows = json.loads(str(found[f"retention-{SET}-points"]))
    assert ["keep", "expire", "expire", "expire"] == [row["action"] for row in rows]
    assert all(row["stored"] and row["why"] for row in rows)
    assert "3 points expired" in str(found[f"retention-{SET}-result"])
