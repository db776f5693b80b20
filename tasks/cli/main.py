"""The entry point of `kafka-backup`: declares the commands, their options and help texts, and the commands of later
versions. Sets how often Python collects garbage.

A command's module is imported when the command runs. So `--help` starts fast, and a command that reads a folder does
not import the SDKs of Kafka or S3.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Concatenate, NoReturn, ParamSpec

import typer

from tasks.cli.command_group import CommandGroup
from tasks.cli.options import (
    BackupId,
    ConfigFile,
    EvidenceSet,
    FreezeBy,
    FreezeReason,
    HoldBy,
    HoldName,
    HoldReason,
    Json,
    LabelRules,
    Labels,
    OptionalConfigFile,
    Quiet,
    StatePlace,
    StorageUrl,
    Verbose,
    WithoutUploads,
)
from tasks.cli.session import Session, open_session
from tasks.model.errors import UnsupportedError

P = ParamSpec("P")

app = typer.Typer(
    name="kafka-backup",
    cls=CommandGroup,
    help="Back up Apache Kafka topics, their settings and consumer group positions. Check backups and restore them.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

PLANNED_COMMANDS = (
    *("lag", "export", "cat", "copy", "standby", "promote"),
    *("keygen", "rebuild-index", "import"),
)
"""The commands of later versions. They are refused as not available yet, instead of as unknown."""

_GC_THRESHOLD = 10_000
"""The number of new objects between two collections of garbage. Each batch makes objects. In a backup of batches of 600
bytes, collections take 5 % of the time with Python's default of 700, and 3 % with this value. Batches of 16 KiB cause
no collections with either value."""


def _print_version(is_asked: bool) -> None:
    if is_asked:
        from importlib.metadata import version

        typer.echo(f"kafka-backup {version('prefect-kafka-backup')}")
        raise typer.Exit


@app.callback()
def before_command(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """The options before the name of a command. `CommandGroup` accepts `-q`, `-v` and `--json` there too."""


@app.command()
def backup(
    config: ConfigFile,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the file and print the plan.")] = False,
    label: Labels = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Make one restore point of the topics that the file selects."""
    with open_session(is_json=as_json, is_quiet=quiet, is_verbose=verbose) as session:
        from tasks.cli.backup import run_backup

        _run(run_backup, session, config, dry_run=dry_run, labels=label or ())


@app.command(name="list")
def list_points(
    config: OptionalConfigFile = None,
    storage: StorageUrl = None,
    restores: Annotated[
        bool, typer.Option("--restores", help="List restores, and the topics that `finalize` has to change.")
    ] = False,
    expired: Annotated[
        bool, typer.Option("--expired", help="List expired points that can be brought back, and until when.")
    ] = False,
    label: LabelRules = None,
    space: Annotated[
        bool, typer.Option("--space", help="Also show what each point takes in the store, and what removing it frees.")
    ] = False,
    marks: Annotated[
        bool, typer.Option("--marks", help="List marks, and whether the newest points have reached them.")
    ] = False,
    state: StatePlace = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """List backup sets and their restore points."""
    with open_session(is_json=as_json, is_quiet=quiet, is_verbose=verbose) as session:
        from tasks.cli.list_points import run_list

        _run(
            run_list,
            session,
            config,
            storage,
            restores=restores,
            expired=expired,
            marks=marks,
            labels=label or (),
            space=space,
            state=state,
        )


@app.command()
def describe(
    config: OptionalConfigFile = None,
    storage: StorageUrl = None,
    backup_id: BackupId = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Show one restore point: partitions, offsets, gaps, groups, sizes."""
    with open_session(is_json=as_json, is_quiet=quiet, is_verbose=verbose) as session:
        from tasks.cli.describe import run_describe

        _run(run_describe, session, config, storage, backup_id)


@app.command()
def validate(
    config: OptionalConfigFile = None,
    storage: StorageUrl = None,
    backup_id: BackupId = None,
    level: Annotated[
        str,
        typer.Option(
            "--level", help="quick: sizes and checksums; full: every byte.", autocompletion=lambda: ["quick", "full"]
        ),
    ] = "full",
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Check a restore point and report all damage that is found."""
    with open_session(is_json=as_json, is_quiet=quiet, is_verbose=verbose) as session:
        from tasks.cli.validate import run_validate

        _run(run_validate, session, config, storage, backup_id, level)


@app.command(name="validate-restore")
def validate_restore(config: ConfigFile, as_json: Json = False, quiet: Quiet = False, verbose: Verbose = False) -> None:
    """Show what a restore would do, and every reason against it. Nothing is changed."""
    with open_session(is_json=as_json, is_quiet=quiet, is_verbose=verbose) as session:
        from tasks.cli.restore import run_restore

        _run(run_restore, session, config, only_preview=True, yes=False)


@app.command()
def restore(
    config: ConfigFile,
    yes: Annotated[bool, typer.Option("--yes", help="Confirm purge_topics.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="The same as `validate-restore`.")] = False,
    is_new: Annotated[
        bool, typer.Option("--new", help="Leave an unfinished restore of the same as it is, and begin another one.")
    ] = False,
    state: StatePlace = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Restore a point into new or empty topics, and verify them. An unfinished restore of the same is continued."""
    with open_session(is_json=as_json, is_quiet=quiet, is_verbose=verbose) as session:
        from tasks.cli.restore import run_restore

        if dry_run:
            session.log("note: `restore --dry-run` is the same as `kafka-backup validate-restore`.")
        _run(run_restore, session, config, only_preview=dry_run, yes=yes, is_new=is_new, state=state)


@app.command()
def check(config: ConfigFile, as_json: Json = False, quiet: Quiet = False, verbose: Verbose = False) -> None:
    """Check that the cluster and the store have all that the file's backup or restore needs. The objects that the check
    writes to the store are deleted again."""
    with open_session(is_json=as_json, is_quiet=quiet, is_verbose=verbose) as session:
        from tasks.cli.check import run_check

        _run(run_check, session, config)


@app.command()
def finalize(
    config: ConfigFile,
    restore_id: Annotated[
        str | None, typer.Argument(metavar="RESTORE", help="As `list --restores` prints it.", show_default=False)
    ] = None,
    state: StatePlace = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Apply the settings that a restore deferred because they delete old records."""
    with open_session(is_json=as_json, is_quiet=quiet, is_verbose=verbose) as session:
        from tasks.cli.finalize import run_finalize

        _run(run_finalize, session, restore_id, config, state=state)


@app.command()
def abandon(
    config: ConfigFile,
    restore_id: Annotated[
        str, typer.Argument(metavar="RESTORE", help="As `list --restores` prints it.", show_default=False)
    ],
    delete_topics: Annotated[
        bool, typer.Option("--delete-topics", help="Delete the topics that the restore created.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Confirm --delete-topics.")] = False,
    state: StatePlace = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Give up a restore that did not end. Its topics get their settings back, or are deleted."""
    with open_session(is_json=as_json, is_quiet=quiet, is_verbose=verbose) as session:
        from tasks.cli.abandon import run_abandon

        _run(run_abandon, session, restore_id, config, delete_topics=delete_topics, yes=yes, state=state)


@app.command()
def unlock(
    config: OptionalConfigFile = None,
    storage: StorageUrl = None,
    backup_id: BackupId = None,
    yes: Annotated[bool, typer.Option("--yes", help="Break the lease if its owner does not renew it.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Show who holds a backup set, and break the lease of a writer that died."""
    with open_session(is_json=as_json, is_quiet=quiet, is_verbose=verbose) as session:
        from tasks.cli.unlock import run_unlock

        _run(run_unlock, session, config, storage, backup_id, yes=yes)


@app.command()
def consolidate(
    config: OptionalConfigFile = None,
    storage: StorageUrl = None,
    backup_id: BackupId = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Join small data objects of the newest point into large ones."""
    with open_session(is_json=as_json, is_quiet=quiet, is_verbose=verbose) as session:
        from tasks.cli.consolidate import run_consolidate

        _run(run_consolidate, session, config, storage, backup_id)


@app.command()
def drill(
    config: ConfigFile,
    clean: Annotated[
        bool, typer.Option("--clean", help="Only remove what earlier drills have left that were killed.")
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Prove a backup: restore it into scratch topics, compare every record, and remove them again."""
    with open_session(is_json=as_json, is_quiet=quiet, is_verbose=verbose) as session:
        from tasks.cli.drill import run_drill

        _run(run_drill, session, config, only_clean=clean)


@app.command()
def prune(
    config: ConfigFile,
    execute: Annotated[
        str | None,
        typer.Option("--execute", metavar="PLAN", help="Carry out exactly the plan with this id.", show_default=False),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Plan and carry out.")] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Only show the plan. This is also what happens without --yes or --execute."),
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Show which points the file's policy keeps and what can be deleted. With --yes or --execute, delete it."""
    with open_session(is_json=as_json, is_quiet=quiet, is_verbose=verbose) as session:
        from tasks.cli.prune import run_prune

        _run(run_prune, session, config, plan_id=execute, yes=yes, dry_run=dry_run)


@app.command()
def unexpire(
    config: OptionalConfigFile = None,
    storage: StorageUrl = None,
    backup_id: BackupId = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Bring a point back that has expired and whose grace is not over."""
    with open_session(is_json=as_json, is_quiet=quiet, is_verbose=verbose) as session:
        from tasks.cli.prune import run_unexpire

        _run(run_unexpire, session, config, storage, backup_id)


@app.command()
def label(
    point: Annotated[str, typer.Argument(metavar="SET@POINT", help="The restore point.", show_default=False)],
    labels: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Labels to add or change.", show_default=False)
    ] = None,
    config: OptionalConfigFile = None,
    storage: StorageUrl = None,
    remove: Annotated[
        list[str] | None,
        typer.Option("--remove", metavar="KEY", help="A label to remove. Repeatable.", show_default=False),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Add, change or remove labels of a restore point."""
    with open_session(is_json=as_json, is_quiet=quiet, is_verbose=verbose) as session:
        from tasks.cli.label import run_label

        _run(run_label, session, config, storage, point, labels or (), remove or ())


@app.command()
def mark(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name of the mark.", show_default=False)],
    config: ConfigFile,
    note: Annotated[
        str | None, typer.Option("--note", metavar="TEXT", help="What the mark is for.", show_default=False)
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the mark.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Give the present end of all partitions of the file's topics a name. No record is read."""
    with open_session(is_json=as_json, is_quiet=quiet, is_verbose=verbose) as session:
        from tasks.cli.mark import run_mark

        _run(run_mark, session, config, name, note=note, remove=remove)


_holds = typer.Typer(help="Keep points or a whole set, whatever the policy says.", no_args_is_help=True)
app.add_typer(_holds, name="hold")


@_holds.command(name="add")
def hold_add(
    name: HoldName,
    reason: HoldReason,
    by: HoldBy,
    config: OptionalConfigFile = None,
    storage: StorageUrl = None,
    backup_id: BackupId = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Set a hold on a set or on one of its points."""
    with open_session(is_json=as_json, is_quiet=quiet, is_verbose=verbose) as session:
        from tasks.cli.hold import run_hold_add

        _run(run_hold_add, session, config, storage, backup_id, name, reason, by)


@_holds.command(name="release")
def hold_release(
    name: HoldName,
    reason: HoldReason,
    by: HoldBy,
    config: OptionalConfigFile = None,
    storage: StorageUrl = None,
    backup_id: BackupId = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """End a hold."""
    with open_session(is_json=as_json, is_quiet=quiet, is_verbose=verbose) as session:
        from tasks.cli.hold import run_hold_release

        _run(run_hold_release, session, config, storage, backup_id, name, reason, by)


@_holds.command(name="list")
def hold_list(
    config: OptionalConfigFile = None,
    storage: StorageUrl = None,
    backup_id: BackupId = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """List the holds of a set, or of all sets."""
    with open_session(is_json=as_json, is_quiet=quiet, is_verbose=verbose) as session:
        from tasks.cli.hold import run_hold_list

        _run(run_hold_list, session, config, storage, backup_id)


_evidence = typer.Typer(help="Reports of restore drills, for auditors.", no_args_is_help=True)
app.add_typer(_evidence, name="evidence")


@_evidence.command(name="list")
def evidence_list(
    config: OptionalConfigFile = None,
    storage: StorageUrl = None,
    backup_id: EvidenceSet = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """List for each topic its last drill, the result, and when the next one is due."""
    with open_session(is_json=as_json, is_quiet=quiet, is_verbose=verbose) as session:
        from tasks.cli.evidence import run_evidence_list

        _run(run_evidence_list, session, config, storage, backup_id)


@_evidence.command(name="show")
def evidence_show(
    drill: Annotated[
        str, typer.Argument(metavar="SET[@DRILL]", help="A set (its newest drill) or a drill.", show_default=False)
    ],
    config: OptionalConfigFile = None,
    storage: StorageUrl = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write the page to a file.", show_default=False)
    ] = None,
    envelope: Annotated[
        Path | None,
        typer.Option("--envelope", metavar="FILE", help="Write the signed report to a file.", show_default=False),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Show the report of a drill."""
    with open_session(is_json=as_json, is_quiet=quiet, is_verbose=verbose) as session:
        from tasks.cli.evidence import run_evidence_show

        _run(run_evidence_show, session, drill, config, storage, html=html, envelope=envelope)


@_evidence.command(name="verify")
def evidence_verify(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The envelope.json of a drill.", show_default=False)],
    key: Annotated[Path, typer.Option("--key", metavar="PEM", help="The public key.", show_default=False)],
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Check that a report is exactly what was signed with a key."""
    with open_session(is_json=as_json, is_quiet=quiet, is_verbose=verbose) as session:
        from tasks.cli.evidence_keys import run_evidence_verify

        _run(run_evidence_verify, session, file, key)


@_evidence.command(name="keygen")
def evidence_keygen(
    out: Annotated[
        Path,
        typer.Option("--out", metavar="FILE", help="The new private key; FILE.pub is beside it.", show_default=False),
    ],
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Make a key that signs reports, and the public key that verifies them."""
    with open_session(is_json=as_json, is_quiet=quiet, is_verbose=verbose) as session:
        from tasks.cli.evidence_keys import run_evidence_keygen

        _run(run_evidence_keygen, session, out)


@app.command()
def freeze(
    reason: FreezeReason,
    by: FreezeBy = None,
    config: OptionalConfigFile = None,
    storage: StorageUrl = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Let nothing expire and delete nothing in the whole repository, until `thaw`. Backups and restores go on."""
    with open_session(is_json=as_json, is_quiet=quiet, is_verbose=verbose) as session:
        from tasks.cli.freeze import run_freeze

        _run(run_freeze, session, config, storage, reason=reason, by=by)


@app.command()
def thaw(
    reason: FreezeReason,
    by: FreezeBy = None,
    config: OptionalConfigFile = None,
    storage: StorageUrl = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """End the freeze of a repository."""
    with open_session(is_json=as_json, is_quiet=quiet, is_verbose=verbose) as session:
        from tasks.cli.freeze import run_thaw

        _run(run_thaw, session, config, storage, reason=reason, by=by)


_audit = typer.Typer(help="Show who changed what in the backup sets, when and why.", no_args_is_help=True)
app.add_typer(_audit, name="audit")


@_audit.command(name="show")
def audit_show(
    config: OptionalConfigFile = None,
    storage: StorageUrl = None,
    backup_id: BackupId = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since", metavar="WHEN", help="7d, 12h or 2026-11-22T10:00:00Z: no older entries.", show_default=False
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", min=1, help="Only so many entries.", show_default=False)
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Show the log of a set, or of all sets, newest entry first."""
    with open_session(is_json=as_json, is_quiet=quiet, is_verbose=verbose) as session:
        from tasks.cli.audit import run_audit_show

        _run(run_audit_show, session, config, storage, backup_id, since=since, limit=limit)


_state = typer.Typer(help="Topics, groups, ACLs, quotas and users of a point.", no_args_is_help=True)
app.add_typer(_state, name="state")


@_state.command(name="show")
def state_show(
    config: OptionalConfigFile = None,
    storage: StorageUrl = None,
    backup_id: BackupId = None,
    topics: Annotated[bool, typer.Option("--topics", help="Only topics with their own settings.")] = False,
    groups: Annotated[bool, typer.Option("--groups", help="Only groups with their positions.")] = False,
    acls: Annotated[bool, typer.Option("--acls", help="Only ACLs.")] = False,
    quotas: Annotated[bool, typer.Option("--quotas", help="Only client quotas.")] = False,
    users: Annotated[bool, typer.Option("--users", help="Only users.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Show what a point contains beyond records."""
    with open_session(is_json=as_json, is_quiet=quiet, is_verbose=verbose) as session:
        from tasks.cli.state import chosen_sections, run_state_show

        sections = chosen_sections(topics=topics, groups=groups, acls=acls, quotas=quotas, users=users)
        _run(run_state_show, session, config, storage, backup_id, sections=sections)


@_state.command(name="diff")
def state_diff(
    config: OptionalConfigFile = None,
    storage: StorageUrl = None,
    backup_id: BackupId = None,
    other: Annotated[
        str | None,
        typer.Option("--with", metavar="ID", help="Another point instead of the live cluster.", show_default=False),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Compare a point with the live cluster of the file, or with another point. Ends with 3 if something differs."""
    with open_session(is_json=as_json, is_quiet=quiet, is_verbose=verbose) as session:
        from tasks.cli.state import run_state_diff

        _run(run_state_diff, session, config, storage, backup_id, other=other)


@_state.command(name="export")
def state_export(
    export_format: Annotated[
        str,
        typer.Option(
            "--format",
            help="strimzi, terraform (provider Mongey/kafka) or kafka-cli (a shell script).",
            autocompletion=lambda: ["strimzi", "terraform", "kafka-cli"],
            show_default=False,
        ),
    ],
    config: OptionalConfigFile = None,
    storage: StorageUrl = None,
    backup_id: BackupId = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="The file to write.", show_default=False)
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write topics, ACLs and quotas of a point for the tool that owns the configuration of a cluster."""
    with open_session(is_json=as_json, is_quiet=quiet, is_verbose=verbose) as session:
        from tasks.cli.state import run_state_export

        _run(run_state_export, session, config, storage, backup_id, export_format=export_format, output=output)


_offsets = typer.Typer(help="Positions of groups: captured, translated, written, put back.", no_args_is_help=True)
app.add_typer(_offsets, name="offsets")

_RestoreId = Annotated[str, typer.Argument(metavar="RESTORE", help="As `list --restores` prints it.")]
_Groups = Annotated[
    list[str] | None, typer.Option("--group", metavar="GROUP", help="Only this group. Repeatable.", show_default=False)
]
_AllGroups = Annotated[bool, typer.Option("--all", help="All groups of which the point has positions.")]


@_offsets.command(name="show")
def offsets_show(
    config: OptionalConfigFile = None,
    storage: StorageUrl = None,
    backup_id: BackupId = None,
    group: _Groups = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Show the captured positions of a point, and how many offsets of it follow each of them."""
    with open_session(is_json=as_json, is_quiet=quiet, is_verbose=verbose) as session:
        from tasks.cli.offsets import run_offsets_show

        _run(run_offsets_show, session, config, storage, backup_id, groups=group or ())


@_offsets.command(name="plan")
def offsets_plan(
    config: ConfigFile,
    restore_id: _RestoreId,
    group: _Groups = None,
    state: StatePlace = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Show the translated positions of a restore beside those that the groups have now. Nothing is written."""
    with open_session(is_json=as_json, is_quiet=quiet, is_verbose=verbose) as session:
        from tasks.cli.offsets import run_offsets_compare

        _run(run_offsets_compare, session, restore_id, config, groups=group or (), is_verified=False, state=state)


@_offsets.command(name="verify")
def offsets_verify(
    config: ConfigFile,
    restore_id: _RestoreId,
    group: _Groups = None,
    state: StatePlace = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Compare the positions that the groups have now with those of a restore. Ends with 3 if a group is behind or has
    no position."""
    with open_session(is_json=as_json, is_quiet=quiet, is_verbose=verbose) as session:
        from tasks.cli.offsets import run_offsets_compare

        _run(run_offsets_compare, session, restore_id, config, groups=group or (), is_verified=True, state=state)


@_offsets.command(name="apply")
def offsets_apply(
    config: ConfigFile,
    restore_id: _RestoreId,
    group: _Groups = None,
    all_groups: _AllGroups = False,
    wait: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Wait so long until the groups have no members: 10m.", show_default=False),
    ] = None,
    state: StatePlace = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write the translated positions of a restore. What the groups have now is stored first, for a rollback."""
    with open_session(is_json=as_json, is_quiet=quiet, is_verbose=verbose) as session:
        from tasks.cli.offsets import run_offsets_apply

        _run(
            run_offsets_apply,
            session,
            restore_id,
            config,
            groups=group or (),
            all_groups=all_groups,
            wait=wait,
            state=state,
        )


@_offsets.command(name="rollback")
def offsets_rollback(
    config: ConfigFile,
    restore_id: _RestoreId,
    group: _Groups = None,
    all_groups: _AllGroups = False,
    also_moved: Annotated[
        bool, typer.Option("--also-moved", help="Also put back positions that have moved since.")
    ] = False,
    state: StatePlace = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Put back the positions that groups had before a restore wrote theirs. Positions that have moved since stay."""
    with open_session(is_json=as_json, is_quiet=quiet, is_verbose=verbose) as session:
        from tasks.cli.offsets import run_offsets_rollback

        _run(
            run_offsets_rollback,
            session,
            restore_id,
            config,
            groups=group or (),
            all_groups=all_groups,
            also_moved=also_moved,
            state=state,
        )


@app.command(name="thaw-objects")
def thaw_objects(
    config: ConfigFile,
    backup_id: BackupId = None,
    topics: Annotated[
        list[str] | None,
        typer.Option("--topics", help="Only objects of these topics. Can be repeated.", show_default=False),
    ] = None,
    days: Annotated[int, typer.Option("--days", min=1, help="How long the objects can be read once back.")] = 7,
    tier: Annotated[
        str,
        typer.Option(
            "--tier",
            help="How fast: Standard, Bulk or Expedited.",
            autocompletion=lambda: ["Standard", "Bulk", "Expedited"],
        ),
    ] = "Standard",
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Ask the store for the archived objects of a point, and show which are back. Run it again until all are."""
    with open_session(is_json=as_json, is_quiet=quiet, is_verbose=verbose) as session:
        from tasks.cli.thaw_objects import run_thaw_objects

        _run(run_thaw_objects, session, config, backup_id, topics=topics or [], days=days, tier=tier)


_lifecycle = typer.Typer(help="Lifecycle rules of the bucket, for the data of a set.", no_args_is_help=True)
app.add_typer(_lifecycle, name="lifecycle")


@_lifecycle.command(name="show")
def lifecycle_show(
    config: ConfigFile,
    without_uploads: WithoutUploads = False,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Show the rules of the bucket, what the file's policy would change, and rules that endanger the backup."""
    with open_session(is_json=as_json, is_quiet=quiet, is_verbose=verbose) as session:
        from tasks.cli.lifecycle import run_lifecycle_show

        _run(run_lifecycle_show, session, config, with_uploads=not without_uploads)


@_lifecycle.command(name="apply")
def lifecycle_apply(
    config: ConfigFile,
    without_uploads: WithoutUploads = False,
    yes: Annotated[bool, typer.Option("--yes", help="Confirm the change.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write the rules of the file's policy, and read them back. Rules of other programs stay as they are."""
    with open_session(is_json=as_json, is_quiet=quiet, is_verbose=verbose) as session:
        from tasks.cli.lifecycle import run_lifecycle_apply

        _run(run_lifecycle_apply, session, config, with_uploads=not without_uploads, yes=yes)


def _run(
    command: Callable[Concatenate[Session, P], int], session: Session, *args: P.args, **kwargs: P.kwargs
) -> NoReturn:
    """Run the function of a command, and end the process with its exit code."""
    _enable_gc()
    raise SystemExit(command(session, *args, **kwargs))


def _enable_gc() -> None:
    """Enable the garbage collector, which `main` disabled. The existing objects are excluded from collections, because
    objects of imported modules stay until the process ends. Does nothing if it is already enabled."""
    if not gc.isenabled():
        gc.freeze()
        gc.set_threshold(_GC_THRESHOLD)
        gc.enable()


def _add_planned_command(name: str) -> None:
    accept_all = {"allow_extra_args": True, "ignore_unknown_options": True}

    @app.command(name=name, hidden=True, add_help_option=False, context_settings=accept_all)
    def refuse(context: typer.Context) -> None:
        with open_session(is_json="--json" in context.args, is_verbose=False):
            raise UnsupportedError(f"`kafka-backup {name}` is not available yet.")


for _name in PLANNED_COMMANDS:
    _add_planned_command(_name)


def main() -> None:
    """Run the command. Ends the process with the command's exit code."""
    # During imports, collections would take a third of the start time and find almost no garbage.
    gc.disable()
    try:
        app()
    finally:
        gc.freeze()  # so that the collection at the interpreter's end is short


if __name__ == "__main__":
    main()
