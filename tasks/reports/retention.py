"""The report of a prune: its plan as a table and as a document, and what was done. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tasks.engine.prune import Pruned
from tasks.engine.retention.deleted import Deleted
from tasks.engine.retention.old_data import OldData
from tasks.engine.retention.prune_plan import PrunePlan
from tasks.model.counting import counted
from tasks.reports.figures import size_text
from tasks.repository.points import format_time
from tasks.repository.set_state import PointSummary, SetState

HEADER = ("POINT", "TIME", "KIND", "STORED", "ACTION", "WHY")

_DENIED_NAMES = 20
"""The number of objects that a message names."""

FORM_ROWS = 20
"""The number of expiring points that the form of an approval shows. The table of the run's artifacts has all."""


def plan_rows(plan: PrunePlan, state: SetState) -> Iterator[tuple[str, ...]]:
    """A row for each point, newest first: the size of the data that it names, what happens to it, and why. Points of
    one chain name the same data, so the sizes are not what their end frees."""
    points: Mapping[int, PointSummary] = {**state.points, **{seq: one.point for seq, one in state.expired.items()}}
    for seq in sorted(points, reverse=True):
        action, why = _action(plan, seq)
        point = points[seq]
        size = size_text(point.totals.stored_bytes)
        yield f"{plan.set_name}@{seq}", format_time(point.time_ms), point.point_kind, size, action, why


def _action(plan: PrunePlan, seq: int) -> tuple[str, str]:
    if seq in plan.kept:
        return "keep", ", ".join(plan.kept[seq])
    if seq in plan.expire:
        return "expire", "no rule keeps it"
    if seq in plan.remove:
        return "remove", "its grace is over"
    return "expired", f"can be brought back until {format_time(plan.grace[seq])}"


def plan_text(plan: PrunePlan) -> str:
    """What the plan does, in a few sentences."""
    goes = Deleted(plan.deletes)
    if plan.is_empty:
        text = "There is nothing to do."
    else:
        text = (
            f"Points: {len(plan.kept):,} stay, {len(plan.expire):,} expire, {len(plan.remove):,} are removed. "
            f"{counted(goes.objects, 'object')} with {size_text(goes.bytes)} can be deleted now{_kinds_text(goes)}."
        )
    frees = f" Data that only expired points need: {size_text(plan.frees_bytes)}." if plan.frees_bytes else ""
    return text + frees + (f" {_old_text(plan)}" if plan.old is not None else "")


def _old_text(plan: PrunePlan) -> str:
    """What `maximum_age` takes."""
    old = plan.old
    assert old is not None
    staying = [seq for seq in old.points if seq in plan.kept]
    text = (
        f"maximum_age {plan.policy.maximum_age} takes {counted(len(old.objects), 'data object')} with "
        f"{size_text(sum(old.objects.values()))}, captured before {format_time(old.drop.before_ms)}. "
        f"Points that stay without this data: {len(staying):,}."
    )
    spared = f" Points under a hold that keep it: {len(old.drop.spared):,}." if old.drop.spared else ""
    return text + spared


def policy_text(policy: Mapping[str, Any]) -> str:
    """The settings of a policy: `keep_last: 2, grace: 24h`. Empty ones are left out."""
    values = {name: " or ".join(value) if isinstance(value, list | tuple) else value for name, value in policy.items()}
    return ", ".join(f"{name}: {value}" for name, value in values.items() if value not in (None, ""))


def approval_form_text(plan: PrunePlan, state: SetState, need: str) -> str:
    """The text of the form of an approval, in markdown: why it is needed, what the plan does, and the oldest points
    that expire."""
    rows = [row for row in plan_rows(plan, state) if row[4] == "expire"]
    shown = [" | ".join(row[:4]) for row in reversed(rows[-FORM_ROWS:])]
    rest = f"\n\nand {len(rows) - len(shown):,} more" if len(rows) > len(shown) else ""
    rules = policy_text(plan.policy.model_dump(mode="json", exclude_none=True))
    table = f"These points expire:\n\n| {' | '.join(HEADER[:4])} |\n|{' --- |' * 4}\n" if rows else ""
    return (
        f"{need}\n\n{plan_text(plan)}\n\n{table}" + "\n".join(f"| {row} |" for row in shown) + f"{rest}\n\n"
        f"Policy: {rules}\n\nThe artifacts of this run have a row for each point with the reasons. "
        f"Id of the plan: `{plan.id}`"
    )


def pruned_text(done: Pruned) -> str:
    """What was done, in one sentence."""
    plan, deleted, in_use = done.plan, done.deleted, len(done.in_use)
    reading = f" Did not expire yet, because they are being read: {counted(in_use, 'point')}." if in_use else ""
    return (
        f"{plan.set_name}: {counted(len(plan.expire) - in_use, 'point')} expired, {len(plan.remove):,} removed, "
        f"{len(plan.kept):,} kept.{reading} {counted(deleted.objects, 'object')} with {size_text(deleted.bytes)} "
        f"deleted{_kinds_text(deleted)}.{_kept_text(deleted)}"
    )


def denied_text(deleted: Deleted) -> str | None:
    """One sentence about the objects that the store refused to delete. None if there are none."""
    if not deleted.denied:
        return None
    names = ", ".join(deleted.denied[:_DENIED_NAMES])
    rest = len(deleted.denied) - _DENIED_NAMES
    return (
        f"The store refused to delete {counted(len(deleted.denied), 'object')}: {names}"
        f"{f' and {rest:,} more' if rest > 0 else ''}. Grant the right to delete them; the next prune tries again."
    )


def _kept_text(deleted: Deleted) -> str:
    """What was not deleted because of locks, and what the store keeps as older versions."""
    text = ""
    dated = deleted.deferred.objects - deleted.legal_holds
    if dated and deleted.deferred_until_ms is not None:
        until = format_time(deleted.deferred_until_ms)
        text += f" Deferred until {until}, because they are locked: {counted(dated, 'object')}."
    if deleted.legal_holds:
        text += f" Deferred without a date, because of a legal hold: {counted(deleted.legal_holds, 'object')}."
    if deleted.deferred.objects:
        text += f" Size of what is deferred: {size_text(deleted.deferred.bytes)}."
    if deleted.hidden:
        text += (
            f" The bucket keeps {counted(deleted.hidden, 'deleted object')} as older versions, until its rule for "
            "older versions removes them."
        )
    return text


def _kinds_text(deleted: Deleted) -> str:
    """` (plans: 2 with 1.1 KiB, leases: 1 with 300 B)`, or nothing."""
    parts = [f"{kind}: {amount.objects:,} with {size_text(amount.bytes)}" for kind, amount in deleted.kinds.items()]
    return f" ({', '.join(parts)})" if parts else ""


def _kinds_document(deleted: Deleted) -> dict[str, dict[str, int]]:
    return {kind: {"objects": amount.objects, "bytes": amount.bytes} for kind, amount in deleted.kinds.items()}


def plan_document(plan: PrunePlan) -> dict[str, Any]:
    """The plan as JSON members. Times are Unix milliseconds."""
    goes = Deleted(plan.deletes)
    return {
        "set": plan.set_name,
        "id": plan.id,
        "sha256": plan.sha256,
        "policy": plan.policy.model_dump(mode="json", exclude_none=True),
        "keep": [{"point": seq, "reasons": list(reasons)} for seq, reasons in plan.kept.items()],
        "expire": list(plan.expire),
        "remove": list(plan.remove),
        "expired": [{"point": seq, "until_ms": until_ms} for seq, until_ms in plan.grace.items()],
        "dead_runs": list(plan.unnamed.dead_runs),
        "delete": _kinds_document(goes),
        "delete_objects": goes.objects,
        "delete_bytes": goes.bytes,
        "waiting_bytes": plan.unnamed.waiting_bytes,
        "frees_bytes": plan.frees_bytes,
        "drop": _drop_document(plan.old) if plan.old is not None else None,
    }


def _drop_document(old: OldData) -> dict[str, Any]:
    return {
        "before_ms": old.drop.before_ms,
        "objects": len(old.objects),
        "stored_bytes": sum(old.objects.values()),
        "points": list(old.points),
        "held_points": list(old.drop.spared),
    }


def pruned_document(done: Pruned) -> dict[str, Any]:
    """The plan and what was deleted, as JSON members."""
    return {
        "plan": plan_document(done.plan),
        "in_use": list(done.in_use),
        "deleted": _kinds_document(done.deleted),
        "deleted_objects": done.deleted.objects,
        "deleted_bytes": done.deleted.bytes,
        "older_versions": done.deleted.hidden,
        "deferred_objects": done.deleted.deferred.objects,
        "deferred_bytes": done.deleted.deferred.bytes,
        "deferred_until_ms": done.deleted.deferred_until_ms,
        "legal_holds": done.deleted.legal_holds,
        "denied": list(done.deleted.denied),
    }
