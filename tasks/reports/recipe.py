"""The text that shows how to restore a point, ready to be copied: with a deployment, and with the command, which needs
no Prefect. Pure."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import yaml

MOST_MAPPED = 5
"""The largest number of topics for which the text contains a mapping."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """A cluster and a repository: the names of their blocks, and the sections of a YAML file with the same settings. In
    the sections, every secret is replaced by a `${VARIABLE}`."""

    cluster: str
    repository: str
    cluster_section: Mapping[str, object]
    storage_section: Mapping[str, object]


def restore_recipe(point: str, topics: Sequence[str], places: Places) -> str:
    """Both ways to restore, in markdown. Up to `MOST_MAPPED` topics are restored under new names into the source
    cluster. More topics keep their names, so they need another cluster."""
    mapping = {topic: f"{topic}-restored" for topic in topics} if len(topics) <= MOST_MAPPED else {}
    options = {"topic_mapping": mapping} if mapping else {}
    return "\n".join(
        (
            f"By Prefect; for another cluster write its block's name after `target=`{_caution(topics)}:",
            "",
            "```",
            shlex.join(_deployment_run(point, places, options)),
            "```",
            "",
            "By the command, which needs no Prefect: `kafka-backup restore --config restore.yaml` with",
            "",
            *restore_file(point, places, options),
        )
    )


def restore_file(point: str, places: Places, options: Mapping[str, object]) -> Iterator[str]:
    """The lines of a restore.yaml, inside a code block of markdown."""
    file = {
        "mode": "restore",
        "backup_id": point,
        "target": dict(places.cluster_section),
        "storage": dict(places.storage_section),
        **({"restore": dict(options)} if options else {}),
    }
    yield from ("```yaml", yaml.safe_dump(file, sort_keys=False).rstrip(), "```", "")


def _caution(topics: Sequence[str]) -> str:
    if len(topics) <= MOST_MAPPED:
        return ""
    return f" (the {len(topics):,} topics keep their names, so they must be missing or empty there)"


def _deployment_run(point: str, places: Places, options: Mapping[str, object]) -> list[str]:
    words = ["prefect", "deployment", "run", "restore/on-demand"]
    for name, value in (("backup_id", point), ("target", places.cluster), ("repository", places.repository)):
        words += ["--param", f"{name}={value}"]
    return [*words, "--param", f"options={json.dumps(options)}"] if options else words
