"""A golden repository with labels and marks, and with a freeze that is over.

It was written by the first version that has labels and marks, and every later version reads it.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tasks.engine.run_context import RunContext
from tasks.engine.validate import validate_locally
from tasks.repository.marks import read_mark
from tasks.repository.points import PointReference
from tasks.repository.repository import Repository
from tasks.store.local.local_store import LocalStore
from tests.golden import label_reader, reader
from tests.golden.expected import expected_record

FOLDER = Path(__file__).with_name("format-1-labels")
SET = "set"
EXPECTED = json.loads((FOLDER / "expected.json").read_text())
LABELS = {int(seq): point["labels"] for seq, point in EXPECTED["points"].items()}
each_point = pytest.mark.parametrize("seq", sorted(LABELS))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy, because reading leaves pins."""
    return Path(shutil.copytree(FOLDER, tmp_path / "repository"))


@pytest.fixture
def repository(folder: Path) -> Repository:
    return Repository.open(LocalStore(folder, create=False), lambda: 1)


def test_the_log_has_an_entry_of_every_kind_of_labels_and_marks(repository: Repository) -> None:
    kinds = {entry.kind for entry in repository.log(SET).entries()}

    assert {"point", "label", "mark", "unmark", "freeze", "thaw", "expire", "remove"} <= kinds


def test_points_have_the_labels_and_marks_the_offsets_that_they_had(repository: Repository) -> None:
    state = repository.state(SET)

    assert LABELS == {seq: point.labels for seq, point in state.points.items()}
    assert EXPECTED["marks"] == {
        name: [
            [part.topic, part.topic_id, part.partition, part.first, part.end]
            for part in read_mark(repository.store, mark.offsets).partitions
        ]
        for name, mark in state.marks.items()
    }
    assert "release 1.2.4 | ü" == state.marks["before-migration"].note


def test_the_independent_reader_finds_the_same_labels_and_marks(folder: Path) -> None:
    assert LABELS == label_reader.labels(folder, SET)
    assert EXPECTED["marks"] == {
        name: [[part[member] for member in ("topic", "topic_id", "partition", "first", "end")] for part in partitions]
        for name, partitions in label_reader.marks(folder, SET).items()
    }


@each_point
def test_the_independent_reader_yields_what_the_source_had(folder: Path, seq: int) -> None:
    points = {point["seq"]: point for point in reader.points(folder, SET)}

    found = [expected_record(*record[2:]) for record in reader.records(folder, points[seq]) if record[1] == 0]
    assert EXPECTED["points"][str(seq)]["records"] == found


@each_point
def test_a_full_validation_finds_nothing_wrong(repository: Repository, seq: int) -> None:
    result = validate_locally(RunContext(repository=repository), PointReference(SET, seq=seq), level="full")

    assert () == result.findings


def test_the_offsets_of_the_removed_mark_are_deleted_and_those_of_the_others_are_there(folder: Path) -> None:
    assert len(EXPECTED["marks"]) == len(list((folder / f"meta/{SET}/marks").iterdir()))
