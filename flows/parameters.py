"""The parameters that several flows have, with the words that the UI's form shows."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from tasks.engine.options import BackupOptions, RestoreOptions, TopicSelection


def shown_as(title: str, description: str) -> Any:
    """Prefect gives every parameter its name as title and no description; what stands in the schema's extra wins."""
    return Field(json_schema_extra={"title": title, "description": description})


NewPointOf = Annotated[
    str, shown_as("Backup set", "The set that gets a new restore point; the first run of a name makes the set.")
]
PointToRead = Annotated[
    str,
    shown_as("Restore point", "A set, which means its newest point, or one point: set@17, set@2026-11-22T10:00:00Z."),
]
SourceCluster = Annotated[str, shown_as("Source cluster", "Name of the KafkaCluster block to back up.")]
TargetCluster = Annotated[str, shown_as("Target cluster", "Name of the KafkaCluster block to restore into.")]
RepositoryName = Annotated[
    str,
    shown_as("Repository", "Name of a LocalRepository or S3Repository block; with its type where two share the name."),
]
TopicsToTake = Annotated[TopicSelection, shown_as("Topics", "Names, globs or regular expressions; none means all.")]
HowToBackUp = Annotated[BackupOptions, shown_as("Options", "How the backup reads and stores.")]
HowToRestore = Annotated[RestoreOptions, shown_as("Options", "What the restore writes, and how.")]

ALL_TOPICS = TopicSelection()
USUAL_BACKUP = BackupOptions()
USUAL_RESTORE = RestoreOptions()
