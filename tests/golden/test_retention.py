"""A golden repository with a consolidated point, expired and removed points, one that came back, and a hold.

It was written by the first version that prunes, and every later version reads it.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tasks.engine.run_context import RunContext
from tasks.engine.validate import validate_locally
from tasks.repository.points import PointReference
from tasks.repository.repository import Repository
from tasks.store.local.local_store import LocalStore
from tests.golden import reader
from tests.golden.expected import expected_record

FOLDER = Path(__file__).with_name("format-1-retention")
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


def test_the_log_has_an_entry_of_every_kind_of_retention(repository: Repository) -> None:
    entries = list(repository.log(SET).entries())
    state = repository.state(SET)

    assert {"point", "expire", "unexpire", "remove", "hold", "release"} == {entry.kind for entry in entries}
    assert "consolidated" in {point.point_kind for point in state.points.values()}
    assert sorted(map(int, EXPECTED)) == list(state.points)
    assert state.expired
    assert ["case-7"] == list(state.holds)


@each_point
def test_the_independent_reader_yields_what_the_source_had(folder: Path, seq: int) -> None:
    points = {point["seq"]: point for point in reader.points(folder, SET)}

    assert sorted(map(int, EXPECTED)) == sorted(points)
    assert EXPECTED[str(seq)] == [expected_record(*record[2:]) for record in reader.records(folder, points[seq])]


@each_point
def test_a_full_validation_finds_nothing_wrong(repository: Repository, seq: int) -> None:
    result = validate_locally(RunContext(repository=repository), PointReference(SET, seq=seq), level="full")

    assert () == result.findings
    assert len(EXPECTED[str(seq)]) == result.checked_records
