"""The commands `kafka-backup offsets show`, `plan`, `apply`, `verify` and `rollback`: their output and exit codes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from tasks.broker.ports import ClusterAdmin
from tasks.cli.exit_codes import ACCESS, INCOMPLETE, OK
from tasks.cli.inputs import find_point, log_notes, open_repository, open_storage, with_state
from tasks.cli.session import Session
from tasks.config.adapters import cluster_access
from tasks.config.load import load_restore
from tasks.engine.offsets import apply_offsets, captured_positions, compare_offsets, roll_back_offsets
from tasks.engine.run_context import ClusterContext
from tasks.model.counting import counted
from tasks.model.durations import duration_ms
from tasks.model.errors import ConfigError
from tasks.model.quoting import quoted
from tasks.reports.figures import table_text
from tasks.reports.offsets import (
    COMPARED_COLUMNS,
    compared_documents,
    compared_rows,
    compared_summary,
    rolled_back_documents,
    rolled_back_line,
)


def run_offsets_show(
    session: Session, config: Path | None, storage: str | None, backup_id: str | None, *, groups: Sequence[str]
) -> int:
    """Print the captured positions of a point. Returns the exit code. Raises `RefusedError` if the point has none, or
    none of a named group."""
    repository, set_of_file = open_repository(session, config, storage)
    point = find_point(session, repository, backup_id or set_of_file)
    captured = captured_positions(point, groups)
    rows = [
        (quoted(one.group), f"{one.topic}-{one.partition}", str(one.offset), "-" if one.lag is None else str(one.lag))
        for one in captured
    ]
    session.print(table_text(("GROUP", "PARTITION", "OFFSET", "LAG"), rows))
    session.print_json({"point": point.name, "positions": [asdict(one) for one in captured]})
    return OK


def run_offsets_compare(
    session: Session,
    restore: str,
    config: Path,
    *,
    groups: Sequence[str],
    is_verified: bool,
    state: str | None = None,
) -> int:
    """Print the positions of a restore beside those that the groups have. With `is_verified`, `INCOMPLETE` is returned
    if a group is behind or has no position. Nothing is written. `state`: see `with_state`."""
    with _target(session, config, state) as (context, admin):
        compared = compare_offsets(context, admin, restore, groups)
    if compared:
        session.print(f"{table_text(COMPARED_COLUMNS, compared_rows(compared))}\n")
    session.print(compared_summary(compared))
    session.print_json({"restore": restore, "positions": compared_documents(compared)})
    is_short = any(one.state in ("behind", "missing") for one in compared)
    return INCOMPLETE if is_verified and is_short else OK


def run_offsets_apply(
    session: Session,
    restore: str,
    config: Path,
    *,
    groups: Sequence[str],
    all_groups: bool,
    wait: str | None,
    state: str | None = None,
) -> int:
    """Write the positions of a restore. Returns `INCOMPLETE` if one could not be written, `ACCESS` if a permission is
    missing. Raises `ConfigError` unless groups are named, or all of them are meant. `state`: see `with_state`."""
    _require_groups(groups, all_groups)
    wait_ms = _wait_ms(wait)

    def waiting(active: Sequence[str]) -> None:
        session.log(f"Waiting until the consumers of {', '.join(map(quoted, active))} stop.")

    with _target(session, config, state) as (context, admin):
        written = apply_offsets(context, admin, restore, groups, wait_ms=wait_ms, waiting=waiting)
    failed = [one for one in written if one.failure]
    for one in failed:
        session.warn(f"group {quoted(one.group)}, {one.target_topic}-{one.target_partition}: {one.failure}.")
    session.print(f"{counted(len(written) - len(failed), 'position')} written, {len(failed)} not written.")
    session.print_json(
        {
            "restore": restore,
            "positions": [
                {
                    "group": one.group,
                    "topic": one.target_topic,
                    "partition": one.target_partition,
                    "offset": one.target_offset,
                    "failure": one.failure,
                }
                for one in written
            ],
        }
    )
    if any(one.is_denied for one in failed):
        return ACCESS
    return INCOMPLETE if failed else OK


def run_offsets_rollback(
    session: Session,
    restore: str,
    config: Path,
    *,
    groups: Sequence[str],
    all_groups: bool,
    also_moved: bool,
    state: str | None = None,
) -> int:
    """Put back the positions that groups had before the restore wrote theirs. Returns `INCOMPLETE` if a position has
    moved since, or could not be put back. `state`: see `with_state`."""
    _require_groups(groups, all_groups)
    with _target(session, config, state) as (context, admin):
        done = roll_back_offsets(context, admin, restore, groups, also_moved=also_moved)
    for one in done:
        session.print(rolled_back_line(one))
    if not done:
        session.print("The restore has written no positions of these groups.")
    session.print_json({"restore": restore, "positions": rolled_back_documents(done)})
    is_left = any(one.failure or one.step.kind == "moved" for one in done)
    return INCOMPLETE if is_left else OK


@contextmanager
def _target(session: Session, config: Path, state: str | None) -> Iterator[tuple[ClusterContext, ClusterAdmin]]:
    """The target cluster of the file."""
    loaded = load_restore(config)
    log_notes(session, loaded.notes)
    repository = with_state(session, open_storage(session, loaded.file.storage), state)
    cluster = cluster_access(loaded.file.target, session.report_wait)
    context = ClusterContext(repository=repository, cluster=cluster, stop=session.stop)
    with context.admin() as admin:
        yield context, admin


def _require_groups(groups: Sequence[str], all_groups: bool) -> None:
    if bool(groups) == all_groups:
        raise ConfigError("Name the groups with --group, or mean all of them with --all.")


def _wait_ms(wait: str | None) -> int:
    if wait is None:
        return 0
    try:
        return duration_ms(wait)
    except ValueError as error:
        raise ConfigError(f"--wait: {error}.") from None
