"""A golden repository with incremental points: an overtaken offset, two incarnations, a truncated log, a finished run.

It was written by the first version that makes incremental backups, and every later version reads it.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tasks.engine.run_context import RunContext
from tasks.engine.validate import validate_locally
from tasks.model.ranges import OVERTAKEN, TRUNCATED
from tasks.repository.points import PointReference
from tasks.repository.repository import Repository
from tasks.store.local.local_store import LocalStore
from tests.golden import reader
from tests.golden.expected import expected_record

FOLDER = Path(__file__).with_name("format-1-chain")
SET = "set"
EXPECTED = json.loads((FOLDER / "expected.json").read_text())
each_point = pytest.mark.parametrize("seq", sorted(map(int, EXPECTED)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy, because reading leaves pins."""
    return Path(shutil.copytree(FOLDER, tmp_path / "repository"))


@pytest.fixture
def repository(folder: Path) -> Repository:
    return Repository.open(LocalStore(folder, create=False), lambda: 1)


def test_the_points_have_what_makes_chains_difficult(repository: Repository) -> None:
    entries = [repository.log(SET).point(seq).entry for seq in sorted(map(int, EXPECTED))]

    assert {"snapshot", "incremental"} == {entry.point_kind for entry in entries}
    assert {OVERTAKEN} == {gap.reason for entry in entries for gap in entry.gaps}
    assert {TRUNCATED} == {note.reason for entry in entries for note in entry.truncated}
    assert {"topic created again"} == {note.reason for entry in entries for note in entry.ended}
    newest = repository.log(SET).newest_point()
    assert newest is not None
    assert 2 == len({source.topic_id for source in newest.rows if source.topic == "topic-1"})


@each_point
def test_the_independent_reader_yields_what_the_source_had(
    folder: Path, seq: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row by row, because its records name topics and not incarnations."""
    [point] = [point for point in reader.points(folder, SET) if point["seq"] == seq]
    found: dict[str, list[list[object]]] = {}
    for row in reader.rows_of(folder, point):
        monkeypatch.setattr(reader, "rows_of", lambda root, point, row=row: [row])
        found[f"{row['topic']}/{row['topic_id']}/{row['partition']}"] = [
            expected_record(*record[2:]) for record in reader.records(folder, point)
        ]
    assert EXPECTED[str(seq)] == found


@each_point
def test_a_full_validation_finds_nothing_wrong(repository: Repository, seq: int) -> None:
    result = validate_locally(RunContext(repository=repository), PointReference(SET, seq=seq), level="full")

    assert () == result.findings
    assert sum(map(len, EXPECTED[str(seq)].values())) == result.checked_records
