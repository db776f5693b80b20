"""The options that several commands have. This module imports little, because `--help` imports it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ConfigFile = Annotated[Path, typer.Option("--config", "-c", help="The YAML file.", show_default=False)]
OptionalConfigFile = Annotated[
    Path | None, typer.Option("--config", "-c", help="A backup or restore YAML file.", show_default=False)
]
StorageUrl = Annotated[
    str | None,
    typer.Option("--storage", help="The repository's URL instead of a file: file:///path.", show_default=False),
]
BackupId = Annotated[
    str | None,
    typer.Option(
        "--backup-id", help="A set (its newest point), set@17 or set@2026-11-22T10:00:00Z.", show_default=False
    ),
]
EvidenceSet = Annotated[
    str | None,
    typer.Option("--backup-id", metavar="SET", help="Only this set. Without it, all sets.", show_default=False),
]
StatePlace = Annotated[
    str | None,
    typer.Option(
        "--state",
        metavar="DIR",
        help="Folder or URL for the state of restores, if the repository cannot be written to.",
        show_default=False,
    ),
]
HoldName = Annotated[str, typer.Argument(metavar="NAME", help="The name of the hold.", show_default=False)]
HoldReason = Annotated[str, typer.Option("--reason", help="Why, for the log of the set.", show_default=False)]
HoldBy = Annotated[str, typer.Option("--by", help="Who asks for it, for the log of the set.", show_default=False)]
WithoutUploads = Annotated[
    bool,
    typer.Option("--without-uploads", help="No rule for incomplete uploads: some stores, such as MinIO, refuse it."),
]
Labels = Annotated[
    list[str] | None,
    typer.Option("--label", metavar="KEY=VALUE", help="A label of the point. Repeatable.", show_default=False),
]
LabelRules = Annotated[
    list[str] | None,
    typer.Option("--label", metavar="KEY[=VALUE]", help="Only points with this label. Repeatable.", show_default=False),
]
FreezeReason = Annotated[str, typer.Option("--reason", help="Why, for everybody who lists it.", show_default=False)]
FreezeBy = Annotated[
    str | None, typer.Option("--by", help="Who asks for it. Without it, the user of this machine.", show_default=False)
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Only errors and warnings on stderr.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Details and tracebacks on stderr.")]
