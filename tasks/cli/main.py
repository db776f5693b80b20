"""The command's entry point: arguments in, one of the commands, its exit code out. Imports stay light."""

from __future__ import annotations

import gc
from typing import Annotated, Literal, cast

import typer

from tasks.cli.options import BackupId, ConfigFile, Json, MaybeConfig, Storage, Verbose, open_repository
from tasks.cli.session import session
from tasks.model.errors import UnsupportedError

app = typer.Typer(
    name="kafka-backup",
    help="Back up Apache Kafka topics, their settings and consumer-group positions; prove the backup; restore it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

PLANNED_COMMANDS = (
    *("offsets", "drill", "prune", "lag", "export", "cat", "state", "hold", "lifecycle", "copy", "standby", "promote"),
    *("audit", "evidence", "keygen", "unlock", "consolidate", "rebuild-index", "import"),
)
"""Commands that are meant to be and are not here yet."""


@app.command()
def backup(
    config: ConfigFile,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the file and print the plan.")] = False,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Make one restore point as the file says."""
    with session(is_json=as_json, is_verbose=verbose) as current:
        from tasks.cli.backup import run_backup

        raise SystemExit(run_backup(current, config, dry_run=dry_run))


@app.command(name="list")
def list_points(
    config: MaybeConfig = None,
    storage: Storage = None,
    restores: Annotated[bool, typer.Option("--restores", help="Restores, and what they have to finalize.")] = False,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """List backup sets and their restore points."""
    with session(is_json=as_json, is_verbose=verbose) as current:
        from tasks.cli.list_points import run_list

        repository, _ = open_repository(current, config, storage)
        raise SystemExit(run_list(current, repository, restores=restores))


@app.command()
def describe(
    config: MaybeConfig = None,
    storage: Storage = None,
    backup_id: BackupId = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Show one restore point: partitions, offsets, gaps, groups, sizes."""
    with session(is_json=as_json, is_verbose=verbose) as current:
        from tasks.cli.describe import run_describe

        repository, named = open_repository(current, config, storage)
        raise SystemExit(run_describe(current, repository, backup_id or named))


@app.command()
def validate(
    config: MaybeConfig = None,
    storage: Storage = None,
    backup_id: BackupId = None,
    level: Annotated[str, typer.Option("--level", help="quick: sizes and checksums; full: every byte.")] = "full",
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Read a backup back and name every damage."""
    with session(is_json=as_json, is_verbose=verbose) as current:
        from tasks.cli.validate import run_validate

        if level not in ("quick", "full"):
            raise UnsupportedError(f"Level {level!r} is not available: use quick or full.")
        repository, named = open_repository(current, config, storage)
        raise SystemExit(run_validate(current, repository, backup_id or named, cast(Literal["quick", "full"], level)))


@app.command(name="validate-restore")
def validate_restore(config: ConfigFile, as_json: Json = False, verbose: Verbose = False) -> None:
    """Say what a restore would do and everything that speaks against it; change nothing."""
    with session(is_json=as_json, is_verbose=verbose) as current:
        from tasks.cli.restore import run_restore

        raise SystemExit(run_restore(current, config, only_preview=True, yes=False))


@app.command()
def restore(
    config: ConfigFile,
    yes: Annotated[bool, typer.Option("--yes", help="Confirm purge_topics.")] = False,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Restore a point into new or empty topics, and verify them."""
    with session(is_json=as_json, is_verbose=verbose) as current:
        from tasks.cli.restore import run_restore

        raise SystemExit(run_restore(current, config, only_preview=False, yes=yes))


@app.command()
def finalize(
    restore_id: Annotated[str, typer.Argument(metavar="RESTORE", help="As `list --restores` prints it.")],
    config: ConfigFile,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Apply the settings that a restore deferred because they delete old records."""
    with session(is_json=as_json, is_verbose=verbose) as current:
        from tasks.cli.finalize import run_finalize

        raise SystemExit(run_finalize(current, restore_id, config))


def _add_later(name: str) -> None:
    anything = {"allow_extra_args": True, "ignore_unknown_options": True}

    @app.command(name=name, hidden=True, add_help_option=False, context_settings=anything)
    def later(context: typer.Context) -> None:
        with session(is_json="--json" in context.args, is_verbose=False):
            raise UnsupportedError(f"`kafka-backup {name}` is not available yet.")


for _name in PLANNED_COMMANDS:
    _add_later(_name)


def main() -> None:
    """Run the command; ends the process with its exit code."""
    # Imports make objects that stay, and the data plane makes no cycles; looking for some costs a third of a start.
    gc.disable()
    try:
        app()
    finally:
        gc.freeze()  # or the interpreter would look once more at its end


if __name__ == "__main__":
    main()
