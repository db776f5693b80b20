"""The positions of a restore beside those of the groups, as rows and sentences. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

from tasks.engine.offsets import ComparedPosition, RolledBack
from tasks.engine.positions.rollback import RollbackStep
from tasks.model.counting import counted
from tasks.model.quoting import quoted

COMPARED_COLUMNS = ("GROUP", "PARTITION", "FROM", "RESTORED", "PRESENT", "STATE")


def compared_rows(compared: Sequence[ComparedPosition]) -> list[tuple[str, ...]]:
    """A row for each position: group, target partition, source offset, restored offset, present offset, state."""
    return [
        (
            quoted(one.position.group),
            f"{one.position.target_topic}-{one.position.target_partition}",
            f"{one.position.source_topic}-{one.position.source_partition}: {one.position.source_offset}",
            str(one.position.target_offset),
            "-" if one.present is None else str(one.present),
            one.state,
        )
        for one in compared
    ]


def compared_summary(compared: Sequence[ComparedPosition]) -> str:
    """How many positions are in each state, as a sentence."""
    if not compared:
        return "The restore has no positions of these groups."
    numbers = Counter(one.state for one in compared)
    states = ", ".join(
        f"{numbers[state]} {state}" for state in ("equal", "ahead", "behind", "missing") if numbers[state]
    )
    return f"{counted(len(compared), 'position')}: {states}."


def compared_documents(compared: Sequence[ComparedPosition]) -> list[dict[str, object]]:
    """The same as JSON."""
    return [{**asdict(one.position), "present_offset": one.present, "state": one.state} for one in compared]


def rolled_back_line(done: RolledBack) -> str:
    """One sentence about a step of a rollback."""
    step = done.step
    place = f"group {quoted(step.previous.group)}, {step.previous.topic}-{step.previous.partition}"
    if done.failure is not None:
        return f"{place}: not put back: {done.failure}."
    return f"{place}: {_outcome(step)}."


def rolled_back_documents(done: Sequence[RolledBack]) -> list[dict[str, object]]:
    """The steps as JSON."""
    return [
        {
            "group": one.step.previous.group,
            "topic": one.step.previous.topic,
            "partition": one.step.previous.partition,
            "previous_offset": one.step.previous.offset,
            "present_offset": one.step.present,
            "outcome": one.step.kind,
            "failure": one.failure,
        }
        for one in done
    ]


def _outcome(step: RollbackStep) -> str:
    previous = "no position" if step.previous.offset is None else str(step.previous.offset)
    match step.kind:
        case "put back":
            return f"put back to {previous}"
        case "remove":
            return "the position is removed, because the group had none"
        case "is back":
            return f"it has its previous value already: {previous}"
        case "moved":
            return f"left at {step.present}, because the group has moved; before the restore it was {previous}"
