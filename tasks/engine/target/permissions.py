"""What a restore must be allowed to do, looked at before it changes anything. README lists the same as ACLs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tasks.broker.admin.admin import Admin
from tasks.broker.admin.permissions import require_on_groups, require_on_topics
from tasks.broker.translation import Attempt
from tasks.engine.options import RestoreOptions
from tasks.engine.positions.positions import wanted_groups
from tasks.engine.target.findings import Finding, error_finding
from tasks.engine.target.restore_plan import RestoreSource
from tasks.model.errors import AccessError


def require_restorable(admin: Admin, targets: Sequence[str], *, is_purging: bool) -> None:
    """Raises `AccessError` that names all that is missing to restore into these topics, as far as they exist."""
    operations = ("Write", "Read", "AlterConfigs", *(("Delete",) if is_purging else ()))
    require_on_topics(admin, dict.fromkeys(targets, operations), Attempt("restore into", ", ".join(targets)))


def missing_for_groups(source: RestoreSource, admin: Admin, options: RestoreOptions) -> Iterator[Finding]:
    """What is missing to write the positions that are to be written."""
    if not options.reset_consumer_offsets or options.consumer_group_strategy == "skip" or source.groups is None:
        return
    wanted = [group.group for group in wanted_groups(source.groups, options.consumer_groups)]
    try:
        require_on_groups(admin, dict.fromkeys(wanted, ("Read",)), Attempt("write", "positions of groups"))
    except AccessError as error:
        yield error_finding("groups", error)
