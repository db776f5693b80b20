"""The parameters that several flows have, with the words that the UI's form shows."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from tasks.engine.options import BackupOptions, RestoreOptions, TopicSelection


def form_field(title: str, description: str) -> Any:
    """Prefect gives every parameter its name as title and no description; what stands in the schema's extra wins."""
    return Field(json_schema_extra={"title": title, "description": description})


BackupSetName = Annotated[
    str, form_field("Backup set", "The set that gets a new restore point; the first run of a name makes the set.")
]
PointParam = Annotated[
    str,
    form_field("Restore point", "A set, which means its newest point, or one point: set@17, set@2026-11-22T10:00:00Z."),
]
SourceCluster = Annotated[str, form_field("Source cluster", "Name of the KafkaCluster block to back up.")]
TargetCluster = Annotated[str, form_field("Target cluster", "Name of the KafkaCluster block to restore into.")]
RepositoryName = Annotated[
    str,
    form_field(
        "Repository", "Name of a LocalRepository or S3Repository block; with its type where two share the name."
    ),
]
TopicsParam = Annotated[TopicSelection, form_field("Topics", "Names, globs or regular expressions; none means all.")]
BackupOptionsParam = Annotated[BackupOptions, form_field("Options", "How the backup reads and stores.")]
RestoreOptionsParam = Annotated[RestoreOptions, form_field("Options", "What the restore writes, and how.")]

ALL_TOPICS = TopicSelection()
DEFAULT_BACKUP_OPTIONS = BackupOptions()
DEFAULT_RESTORE_OPTIONS = RestoreOptions()
