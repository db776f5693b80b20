"""The command `kafka-backup label`: adds, changes and removes labels of a restore point."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tasks.cli.exit_codes import OK
from tasks.cli.inputs import open_repository
from tasks.cli.session import Session
from tasks.engine.labels import change_labels
from tasks.model.labels import labels_text, parse_labels
from tasks.repository.points import PointReference, choose_point


def run_label(
    session: Session,
    config: Path | None,
    storage: str | None,
    point: str,
    labels: Sequence[str],
    removed: Sequence[str],
) -> int:
    """Change the labels of a point. `point` is a point reference; the number of an expired point is one too. Returns
    the exit code."""
    reference, given = PointReference.parse(point), parse_labels(labels)
    repository, _ = open_repository(session, config, storage)
    seq = reference.seq
    if seq is None:
        seq = choose_point(repository.state(reference.set_name), reference)
    after = change_labels(repository, reference.set_name, seq, given, tuple(dict.fromkeys(removed)))
    session.print(f"{reference.set_name}@{seq}: {labels_text(after) or 'no labels'}")
    session.print_json({"set": reference.set_name, "point": seq, "labels": after})
    return OK
