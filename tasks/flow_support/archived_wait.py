"""The wait of a flow run for archived objects. The run plans its next start and ends its process.

A worker starts the run again at that time, from its beginning. Labels of the run keep what the next start has to know:
the point that was chosen first, because a set can have a newer one by then, and since when the run waits. Until a day
after the next start a pin protects the point.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple

from httpx import HTTPError, HTTPStatusError
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.context import FlowRunContext
from prefect.exceptions import Pause, PrefectException
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
"""0 after the wait has ended, because Prefect cannot remove a label."""

_AT_ONCE = "kafka-backup.started-at-once"


class _Wait(NamedTuple):
    """A wait that this run has begun: the point, and the Unix milliseconds of its begin. `was_started_at_once`: a start
    of this wait was planned without a delay, because all objects were back."""

    point: str
    since_ms: int
    was_started_at_once: bool = False


def chosen_point(backup_id: str) -> str:
    """The reference of the point that this run chose before it began to wait. `backup_id` if it has not waited."""
    return str(_this_run().labels.get(_POINT) or backup_id)


def await_objects(repository_name: str, point: PointReference, thaw: ThawOptions, thawed: Thawed) -> State[Any]:
    """Pin the point and plan the next start of this run. Then this function does not return, because it raises
    Prefect's `Pause`. If all objects are back already, that start is now, but only once in a wait: the run called this
    function because it could not read them.

    Returns a failed state if the run cannot be started again, because it has no deployment or is a subflow, if it has
    waited for longer than `give_up_after`, and if the point is not live any more. Raises the store's error if the pin
    cannot be written, and `KafkaBackupError` if the Prefect server does not store the wait.
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
    is_at_once = thawed.is_done and not wait.was_started_at_once
    limit_ms = wait.since_ms + duration_ms(thaw.give_up_after)
    if now > limit_ms and not is_at_once:
        end_wait(repository_name, point)
        what = "The run cannot read all objects" if thawed.is_done else "They are not back"
        return failed(f"{sentence} {what} {thaw.give_up_after} after {format_time(wait.since_ms)}. The run gives up.")
    start_ms = now if is_at_once else now + duration_ms(thaw.check_every)
    opened = repository(str(run.id), repository_name)
    pin_until(
        opened.store,
        point.set_name,
        point.seq or 0,
        pin=_pin(run),
        purpose=f"wait of flow run {run.id}",
        until_ms=start_ms + _MARGIN_MS,
    )
    if point.seq not in opened.state(point.set_name).points:
        unpin(opened.store, point.set_name, _pin(run))
        end_wait(repository_name, point)
        return failed(
            f"{sentence} The run does not wait, because {name} has expired meanwhile. Bring it back with "
            f"`kafka-backup unexpire --config FILE --backup-id {name}` and retry the run, or start a new one."
        )
    next_wait = wait._replace(was_started_at_once=wait.was_started_at_once or is_at_once)
    raise Pause(state=_plan_start(run, next_wait, start_ms, f"{sentence} Next check at {format_time(start_ms)}."))


def end_wait(repository_name: str, point: PointReference) -> None:
    """Remove the pin and the begin of a wait that this run has begun, so that a retry of the run can wait anew, for the
    same point. Call it while the point has another pin, or is not needed any more. Does nothing if the run has not
    waited. Raises `KafkaBackupError` if the Prefect server does not remove the begin."""
    run = _this_run()
    if _wait_of(run) is None:
        return
    unpin(repository(str(run.id), repository_name).store, point.set_name, _pin(run))
    with _server() as client:
        client.update_flow_run_labels(run.id, {_SINCE: 0, _AT_ONCE: False})


def _plan_start(run: FlowRun, wait: _Wait, start_ms: int, message: str) -> State[Any]:
    """Put the run into the state in which a worker starts it at that time. Raises `KafkaBackupError` if the server does
    not accept it."""
    planned: State[Any] = Scheduled(
        name=WAITING, message=message, scheduled_time=datetime.fromtimestamp(start_ms / 1000, UTC)
    )
    labels: dict[str, bool | int | float | str] = {
        _POINT: wait.point,
        _SINCE: wait.since_ms,
        _AT_ONCE: wait.was_started_at_once,
    }
    with _server() as client:
        client.update_flow_run_labels(run.id, labels)
        answer = client.set_flow_run_state(run.id, planned)
    if answer.state is None or answer.state.name != WAITING:
        raise KafkaBackupError(f"The run cannot wait, because the Prefect server refused it: {answer.details}.")
    return answer.state


@contextmanager
def _server() -> Iterator[SyncPrefectClient]:
    """The client of the Prefect server. Errors of its requests become `KafkaBackupError`."""
    try:
        with get_client(sync_client=True) as client:
            yield client
    except (HTTPError, PrefectException) as error:
        reason = f"HTTP {error.response.status_code}" if isinstance(error, HTTPStatusError) else type(error).__name__
        raise KafkaBackupError(
            f"The Prefect server did not store the wait of this run: {reason}. Check the server and retry the run."
        ) from error


def _this_run() -> FlowRun:
    """The run as it was when this process began to execute it, so no request is sent."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        raise RuntimeError("This is called from the body of a flow.")
    return context.flow_run


def _wait_of(run: FlowRun) -> _Wait | None:
    point, since = run.labels.get(_POINT), run.labels.get(_SINCE)
    return _Wait(str(point), int(since), bool(run.labels.get(_AT_ONCE))) if point and since else None


def _pin(run: FlowRun) -> str:
    """The id of the run's pin, the same at every start."""
    return hashlib.sha256(run.id.bytes).hexdigest()[:16]
