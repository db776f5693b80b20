"""How a flow run ends: a named state with one sentence, an event where somebody may want to hear of it."""

from __future__ import annotations

from typing import Any, TypeVar, cast

from prefect.client.schemas.objects import State
from prefect.events import emit_event
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

T = TypeVar("T")


def completed(sentence: str) -> State[Any]:
    """Everything that was asked for is done."""
    return Completed(message=sentence)


def partial(sentence: str, *, event: str) -> State[Any]:
    """Something is there, and something is missing. Not a failure, and not to be overlooked."""
    _tell(event, sentence)
    return Completed(name="Partial", message=sentence)


def skipped(sentence: str) -> State[Any]:
    """Another run is at it: nothing to do, and nobody to wake."""
    _tell("kafka-backup.run.skipped", sentence)
    return Completed(name="Skipped", message=sentence)


def failed(sentence: str) -> State[Any]:
    """What was looked for is not there, or not right."""
    return Failed(message=sentence)


def with_state_name(name: str, sentence: str, value: T) -> T:
    """What a task returns whose work is done and whose result wants to be seen: in the UI it ends as `name`."""
    # Prefect takes a state for the result that it holds; whoever waits for the task gets the value.
    return cast(T, Completed(name=name, message=sentence, data=value))


def run_name() -> str:
    """What and when: the point or set, where a restore goes, and the time that the run was due."""
    given, due = flow_run.parameters, flow_run.scheduled_start_time
    where = f" to {given['target']}" if "target" in given else ""
    return f"{given['backup_id']}{where} {due:%Y-%m-%dT%H:%MZ}"


def _tell(event: str, sentence: str) -> None:
    resource = {"prefect.resource.id": f"prefect.flow-run.{flow_run.id}", "prefect.resource.name": str(flow_run.name)}
    emit_event(event, resource=resource, payload={"message": sentence})
