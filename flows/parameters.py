"""The parameters that several flows have, with their defaults and the texts of the form in Prefect's UI."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from tasks.engine.options import BackupOptions, RestoreOptions, ThawOptions, TopicSelection


def form_field(title: str, description: str) -> Any:
    """The title and the sentence of one parameter in the form.

    They are given as extra members of the schema, because Prefect replaces the normal title and description by its own.
    """
    return Field(json_schema_extra={"title": title, "description": description})


BackupSetName = Annotated[
    str,
    form_field(
        "Backup set", "The backup set that gets a new restore point. The first run with a name creates the set."
    ),
]
PointParam = Annotated[
    str,
    form_field(
        "Restore point",
        "A backup set, which means its newest point, or one of its points: set@17 or set@2026-11-22T10:00:00Z.",
    ),
]
SourceCluster = Annotated[
    str, form_field("Source cluster", "Name of the KafkaCluster block of the cluster to back up.")
]
TargetCluster = Annotated[
    str, form_field("Target cluster", "Name of the KafkaCluster block of the cluster to restore into.")
]
RepositoryName = Annotated[
    str,
    form_field(
        "Repository",
        "Name of the repository's block. If blocks of several types have this name, write the type before it: "
        "s3-repository/production.",
    ),
]
TopicsParam = Annotated[
    TopicSelection, form_field("Topics", "The topics to back up or restore. Empty fields mean all topics.")
]
BackupOptionsParam = Annotated[
    BackupOptions, form_field("Options", "How the backup reads the topics and how it stores them.")
]
RestoreOptionsParam = Annotated[
    RestoreOptions, form_field("Options", "How the restore writes the topics, their settings and group positions.")
]
ThawParam = Annotated[
    ThawOptions | None,
    form_field(
        "Archived objects",
        "Asks the store for archived objects, which S3 charges, and waits for them without a process. Empty means that "
        "nothing is asked for.",
    ),
]

ALL_TOPICS = TopicSelection()
DEFAULT_BACKUP_OPTIONS = BackupOptions()
DEFAULT_RESTORE_OPTIONS = RestoreOptions()
