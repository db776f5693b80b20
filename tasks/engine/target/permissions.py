"""What a restore must be allowed to do, looked at before it changes anything. README lists the same as ACLs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tasks.broker.ports import ClusterAdmin
from tasks.broker.translation import Action
from tasks.engine.options import RestoreOptions
from tasks.engine.positions.translate import wanted_groups
from tasks.engine.target.findings import Finding, error_finding
from tasks.engine.target.restore_plan import RestoreSource
from tasks.model.errors import AccessError


def require_restorable(admin: ClusterAdmin, targets: Sequence[str], *, is_purging: bool) -> None:
    """Raises `AccessError` that names all that is missing to restore into these topics, as far as they exist."""
    operations = ("Write", "Read", "AlterConfigs", *(("Delete",) if is_purging else ()))
    admin.require_on_topics(dict.fromkeys(targets, operations), Action("restore into", ", ".join(targets)))


def missing_for_groups(source: RestoreSource, admin: ClusterAdmin, options: RestoreOptions) -> Iterator[Finding]:
    """What is missing to write the positions that are to be written."""
    if not options.reset_consumer_offsets or options.consumer_group_strategy == "skip" or source.point.groups is None:
        return
    wanted = [group.group for group in wanted_groups(source.point.groups, options.consumer_groups)]
    try:
        admin.require_on_groups(dict.fromkeys(wanted, ("Read",)), Action("write", "positions of groups"))
    except AccessError as error:
        yield error_finding("groups", error)
