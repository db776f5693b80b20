"""The report of a bucket's lifecycle rules: a table with the changes, and documents. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tasks.engine.lifecycle import LifecyclePlan
from tasks.model.counting import counted
from tasks.store.bucket_rules import BucketRule

HEADER = ("STATE", "RULE", "PREFIX", "DOES")


def rule_rows(plan: LifecyclePlan) -> Iterator[tuple[str, str, str, str]]:
    """A row for each rule: those of the set with what happens to them, then those of other programs."""
    changes = plan.changes
    for rule in changes.added:
        yield _row("add", rule)
    for before, after in changes.changed:
        yield _row("change", before)
        yield _row("  to", after)
    for rule in changes.removed:
        yield _row("remove", rule)
    for rule in changes.unchanged:
        yield _row("unchanged", rule)
    for rule in changes.foreign:
        yield _row("foreign", rule)


def rule_text(rule: BucketRule) -> str:
    """What a rule does, in a few words."""
    parts = [
        f"{one.storage_class} " + ("on a date" if one.after_days is None else f"after {counted(one.after_days, 'day')}")
        for one in rule.transitions
    ]
    if rule.expires is not None:
        parts.append(f"deletes {rule.expires}")
    if rule.old_version_days is not None:
        parts.append(f"deletes older versions after {counted(rule.old_version_days, 'day')}")
    if rule.upload_days is not None:
        parts.append(f"ends uploads after {counted(rule.upload_days, 'day')}")
    parts += rule.others
    text = ", ".join(parts) or "nothing"
    narrowed = " (only objects with certain tags or sizes)" if rule.is_narrowed else ""
    return f"{text}{narrowed}{'' if rule.is_enabled else ' (disabled)'}"


def plan_text(plan: LifecyclePlan) -> str:
    """What would change, in one sentence."""
    changes = plan.changes
    if changes.is_empty:
        return f"The rules of {plan.set_name} are those of its policy. There is nothing to change."
    return (
        f"Rules of {plan.set_name}: {len(changes.added)} to add, {len(changes.changed)} to change, "
        f"{len(changes.removed)} to remove, {len(changes.unchanged)} unchanged. "
        f"{counted(len(changes.foreign), 'rule')} of other programs stay as they are."
    )


def plan_document(plan: LifecyclePlan) -> dict[str, Any]:
    """The rules, the changes and the findings as JSON members."""
    changes = plan.changes
    return {
        "set": plan.set_name,
        "has_versions": plan.state.has_versions,
        "default_lock": plan.state.default_lock,
        "add": [_document(rule) for rule in changes.added],
        "change": [{"from": _document(before), "to": _document(after)} for before, after in changes.changed],
        "remove": [_document(rule) for rule in changes.removed],
        "unchanged": [_document(rule) for rule in changes.unchanged],
        "foreign": [_document(rule) for rule in changes.foreign],
        "findings": list(plan.findings),
    }


def _row(state: str, rule: BucketRule) -> tuple[str, str, str, str]:
    return state, rule.name, rule.prefix or "(everything)", rule_text(rule)


def _document(rule: BucketRule) -> dict[str, Any]:
    return {
        "name": rule.name,
        "prefix": rule.prefix,
        "is_enabled": rule.is_enabled,
        "is_narrowed": rule.is_narrowed,
        "transitions": [{"days": one.after_days, "class": one.storage_class} for one in rule.transitions],
        "expires": rule.expires,
        "old_version_days": rule.old_version_days,
        "upload_days": rule.upload_days,
        "others": list(rule.others),
    }
