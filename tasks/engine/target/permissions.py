"""Checks the permissions that a restore needs on topics and groups. docs/SECURITY.md lists the ACLs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tasks.broker.ports import ClusterAdmin
from tasks.broker.translation import Action
from tasks.engine.options import RestoreOptions
from tasks.engine.positions.translate import selected_groups
from tasks.engine.target.findings import Finding, error_finding
from tasks.engine.target.restore_plan import RestoreSource
from tasks.model.errors import AccessError


def restore_operations(*, is_purging: bool) -> tuple[str, ...]:
    """The operations that a restore needs on each target topic."""
    return ("Write", "Read", "AlterConfigs", *(("Delete",) if is_purging else ()))


def require_restorable(admin: ClusterAdmin, targets: Sequence[str], *, is_purging: bool) -> None:
    """Raises `AccessError` with all permissions that are missing on those of the topics that exist."""
    operations = restore_operations(is_purging=is_purging)
    admin.require_on_topics(dict.fromkeys(targets, operations), Action("restore into", ", ".join(targets)))


def group_permission_findings(source: RestoreSource, admin: ClusterAdmin, options: RestoreOptions) -> Iterator[Finding]:
    """Yields a finding if a permission to write the selected positions is missing."""
    if not options.reset_consumer_offsets or options.consumer_group_strategy == "skip" or source.point.groups is None:
        return
    names = [group.group for group in selected_groups(source.point.groups, options.consumer_groups)]
    try:
        admin.require_on_groups(dict.fromkeys(names, ("Read",)), Action("write", "positions of groups"))
    except AccessError as error:
        yield error_finding("groups", error)
