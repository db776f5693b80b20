"""A golden repository from whose points two drops took data, and with a held point that still has everything.

It was written by the first version with `maximum_age`, and every later version reads it.
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

FOLDER = Path(__file__).with_name("format-1-drops")
SET = "set"
EXPECTED = json.loads((FOLDER / "expected.json").read_text())
each_point = pytest.mark.parametrize("seq", sorted(map(int, EXPECTED)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy, because reading leaves pins."""
    return Path(shutil.copytree(FOLDER, tmp_path / "repository"))


def test_one_point_is_whole_and_two_drops_took_data_from_the_others(folder: Path) -> None:
    repository = Repository.open(LocalStore(folder, create=False), lambda: 1)
    kinds = [entry.kind for entry in repository.log(SET).entries()]

    assert 2 == kinds.count("drop")
    assert 1 == len(repository.state(SET).drops)
    assert {0, 4, 8, 12, 16} == {len(records) for records in EXPECTED.values()}


@each_point
def test_the_independent_reader_yields_what_is_left(folder: Path, seq: int) -> None:
    points = {point["seq"]: point for point in reader.points(folder, SET)}

    assert EXPECTED[str(seq)] == [expected_record(*record[2:]) for record in reader.records(folder, points[seq])]


@each_point
def test_a_full_validation_finds_nothing_wrong(folder: Path, seq: int) -> None:
    context = RunContext(repository=Repository.open(LocalStore(folder, create=False), lambda: 1))

    result = validate_locally(context, PointReference(SET, seq=seq), level="full")

    assert () == result.findings
    assert len(EXPECTED[str(seq)]) == result.checked_records
