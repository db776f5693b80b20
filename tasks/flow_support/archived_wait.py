"""The wait of a flow run for archived objects. The run plans its next start and ends its process.

A worker starts the run again at that time, from its beginning. Labels of the run keep what the next start has to know:
the point that was chosen first, because a set can have a newer one by then, and since when the run waits. Until a day
after the next start a pin protects the point.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any, NamedTuple

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.context import FlowRunContext
from prefect.exceptions import Pause
from prefect.states import Scheduled

from tasks.engine.options import ThawOptions, duration_ms
from tasks.engine.thaw_objects import Thawed
from tasks.flow_support.states import emit_of_run, failed
from tasks.flow_support.wiring import now_ms, repository
from tasks.model.errors import KafkaBackupError
from tasks.reports.thaw_objects import thawed_text
from tasks.repository.pins import pin_until, unpin
from tasks.repository.points import PointReference, format_time

WAITING = "AwaitingObjects"
"""The name of the state of a run that waits."""

_MARGIN_MS = 24 * 60 * 60 * 1000
"""How long after the planned start the pin is valid, because a worker can be late."""

_POINT = "kafka-backup.point"
_SINCE = "kafka-backup.waiting-since"


class _Wait(NamedTuple):
    """A wait that this run has begun: the point, and the Unix milliseconds of its begin."""

    point: str
    since_ms: int


def chosen_point(backup_id: str) -> str:
    """The reference of the point that this run chose before it began to wait. `backup_id` if it has not waited."""
    wait = _wait_of(_this_run())
    return backup_id if wait is None else wait.point


def await_objects(repository_name: str, point: PointReference, thaw: ThawOptions, thawed: Thawed) -> State[Any]:
    """Pin the point and plan the next start of this run, which is now if all objects are back already. Then this
    function does not return, because it raises Prefect's `Pause`.

    Returns a failed state if the run cannot be started again, because it has no deployment or is a subflow, and if it
    has waited for longer than `give_up_after`. Raises the store's error if the pin cannot be written.
    """
    run, now, name = _this_run(), now_ms(), f"{point.set_name}@{point.seq}"
    sentence = f"{name}: {thawed_text(thawed)}"
    if thawed.requested:
        emit_of_run("kafka-backup.objects.requested", sentence, {"point": name, "objects": thawed.requested})
    if run.deployment_id is None or run.parent_task_run_id is not None:
        return failed(
            f"{sentence} This run cannot wait for them, because it has no deployment. Start it again when they are "
            f"back, with the point {name}."
        )
    wait = _wait_of(run) or _Wait(name, now)
    limit_ms = wait.since_ms + duration_ms(thaw.give_up_after)
    if now > limit_ms and not thawed.is_done:
        end_wait(repository_name, point)
        return failed(
            f"{sentence} They are not back {thaw.give_up_after} after {format_time(wait.since_ms)}. The run gives up."
        )
    start_ms = now if thawed.is_done else now + duration_ms(thaw.check_every)
    opened = repository(str(run.id), repository_name)
    pin_until(
        opened.store,
        point.set_name,
        point.seq or 0,
        pin=_pin(run),
        purpose=f"wait of flow run {run.id}",
        until_ms=start_ms + _MARGIN_MS,
    )
    raise Pause(state=_plan_start(run, wait, start_ms, f"{sentence} Next check at {format_time(start_ms)}."))


def end_wait(repository_name: str, point: PointReference) -> None:
    """Remove the pin of a wait that this run has begun. Call it while the point has another pin, or is not needed any
    more. Does nothing if the run has not waited."""
    run = _this_run()
    if _wait_of(run) is not None:
        unpin(repository(str(run.id), repository_name).store, point.set_name, _pin(run))


def _plan_start(run: FlowRun, wait: _Wait, start_ms: int, message: str) -> State[Any]:
    """Put the run into the state in which a worker starts it at that time. Raises `KafkaBackupError` if the server does
    not accept it."""
    planned: State[Any] = Scheduled(
        name=WAITING, message=message, scheduled_time=datetime.fromtimestamp(start_ms / 1000, UTC)
    )
    with get_client(sync_client=True) as client:
        client.update_flow_run_labels(run.id, {_POINT: wait.point, _SINCE: wait.since_ms})
        answer = client.set_flow_run_state(run.id, planned)
    if answer.state is None or answer.state.name != WAITING:
        raise KafkaBackupError(f"The run cannot wait, because the Prefect server refused it: {answer.details}.")
    return answer.state


def _this_run() -> FlowRun:
    """The run as it was when this process began to execute it, so no request is sent."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        raise RuntimeError("This is called from the body of a flow.")
    return context.flow_run


def _wait_of(run: FlowRun) -> _Wait | None:
    point, since = run.labels.get(_POINT), run.labels.get(_SINCE)
    return None if point is None or since is None else _Wait(str(point), int(since))


def _pin(run: FlowRun) -> str:
    """The id of the run's pin, the same at every start."""
    return hashlib.sha256(run.id.bytes).hexdigest()[:16]
