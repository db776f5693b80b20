"""The list of restores: for each its state, its progress, who holds it, and what to do next. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.engine.target.finalize import unwritten_positions
from tasks.engine.target.recorded_restore import RecordedRestore, RestoreState
from tasks.reports.figures import table_text
from tasks.repository.leases import LeaseRecord
from tasks.repository.points import format_time

_HEAD = ("RESTORE", "TIME", "POINT", "STATE", "RECORDS", "TO FINALIZE")


@dataclass(frozen=True, slots=True)
class ListedRestore:
    """A restore, and its lease; None if it was deleted."""

    recorded: RecordedRestore
    lease: LeaseRecord | None = None

    @property
    def holder(self) -> str | None:
        """The process that holds the restore. It can have died; a lease shows only who took it last."""
        return self.lease.writer if self.lease is not None and not self.lease.is_released else None

    @property
    def state(self) -> RestoreState:
        """The state of the restore."""
        return self.recorded.state(is_held=self.holder is not None)

    @property
    def unwritten(self) -> str | None:
        """A sentence about positions that it did not write, or None."""
        if self.state not in ("waiting for finalize", "finished"):
            return None
        return unwritten_positions(self.recorded.plan, self.recorded.steps.get("groups"))

    @property
    def next_step(self) -> str | None:
        """What to do next, as a sentence; None if nothing is left to do."""
        restore = self.recorded.restore
        give_up = f"`kafka-backup abandon {restore} --config FILE`"
        match self.state:
            case "finished" | "abandoned":
                return None
            case "waiting for finalize":
                return f"Apply the deferred settings: `kafka-backup finalize {restore} --config FILE`."
            case "failed":
                return f"Restore into other topics, or with purge_topics. Give this one up: {give_up}."
            case "superseded":
                return f"A later restore wrote to its topics, so it cannot be continued. Give it up: {give_up}."
            case "planned" | "preparing" | "writing" | "verifying":
                continue_it = f"`kafka-backup restore --config FILE` continues it, and {give_up} gives it up."
                if self.holder is None:
                    return continue_it
                return f"It is held by {self.holder}. If that process has died, {continue_it}"


def restores_text(listed: list[ListedRestore]) -> str:
    """The table of restores, and below it what to do with each that has not ended."""
    if not listed:
        return "There are no restores."
    table = table_text(_HEAD, [_row(one) for one in listed])
    steps = [f"{one.recorded.restore}: {step}" for one in listed if (step := one.next_step) is not None]
    return "\n".join([table, *steps])


def restore_document(one: ListedRestore) -> dict[str, object]:
    """A restore as JSON members. `records_written` is null if only the log ends of the target show it."""
    plan, recorded = one.recorded.plan, one.recorded
    return {
        "restore": plan.restore,
        "time_ms": plan.created_ms,
        "point": f"{plan.set}@{plan.point}",
        "state": one.state,
        "records": _records(recorded),
        "records_written": recorded.records_written,
        "held_by": one.holder,
        "next": one.next_step,
        "to_finalize": list(_to_finalize(one)),
        "unwritten_positions": one.unwritten,
    }


def _row(one: ListedRestore) -> tuple[object, ...]:
    plan, written = one.recorded.plan, one.recorded.records_written
    records = _records(one.recorded)
    return (
        plan.restore,
        format_time(plan.created_ms),
        f"{plan.set}@{plan.point}",
        one.state,
        f"{records:,}" if written == records else f"{'?' if written is None else f'{written:,}'} of {records:,}",
        ", ".join(_to_finalize(one)) or "nothing",
    )


def _records(recorded: RecordedRestore) -> int:
    return sum(copy.records for copy in recorded.plan.partitions)


def _to_finalize(one: ListedRestore) -> tuple[str, ...]:
    return one.recorded.deferred if one.state == "waiting for finalize" else ()
