"""The states in which flow runs and tasks end: a name, one sentence, and an event if somebody has to act."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, cast

from prefect.client.schemas.objects import State
from prefect.events import emit_event
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

T = TypeVar("T")


def completed(sentence: str) -> State[Any]:
    """The run did everything that it was started for."""
    return Completed(message=sentence)


def partial(sentence: str, *, event: str) -> State[Any]:
    """The run has a result in which something is missing. This is not a failure. The event makes it visible."""
    emit_of_run(event, sentence)
    return Completed(name="Partial", message=sentence)


def skipped(sentence: str) -> State[Any]:
    """Another run works on the same backup set, so this run did nothing. This is not a failure."""
    emit_of_run("kafka-backup.run.skipped", sentence)
    return Completed(name="Skipped", message=sentence)


def refused(sentence: str, *, event: str) -> State[Any]:
    """Somebody was asked for an approval and did not give it, so this run did nothing. This is not a failure."""
    report_event(event, sentence)
    return Completed(name="Refused", message=sentence)


def failed(sentence: str) -> State[Any]:
    """The checks were done, and something is missing or wrong. If the checks cannot be done, the run raises an error
    instead."""
    return Failed(message=sentence)


def report_event(event: str, sentence: str, members: Mapping[str, object] | None = None) -> None:
    """Emit an event of the current flow run, and log its sentence. `members` are JSON members of the event's payload,
    beside the sentence."""
    get_run_logger().warning("%s", sentence)
    emit_of_run(event, sentence, members)


def with_state_name(name: str, reasons: Sequence[str], value: T) -> T:
    """A task returns this. If there are reasons, its completed state is named `name` in the UI and shows the first of
    them. The task's future returns `value` in both cases."""
    if not reasons:
        return value
    return cast(T, Completed(name=name, message=reasons[0], data=value))  # Prefect unpacks the state


def emit_of_run(event: str, sentence: str, members: Mapping[str, object] | None = None) -> None:
    """Emit an event of the current flow run, without a line in its log. Automations can react to it by its name."""
    resource = {"prefect.resource.id": f"prefect.flow-run.{flow_run.id}", "prefect.resource.name": str(flow_run.name)}
    emit_event(event, resource=resource, payload={"message": sentence, **(members or {})})
