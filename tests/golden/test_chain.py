"""Golden repositories of chains, which every later version reads. They were written by the first versions that make
incremental and continuous backups.

`format-1-chain` has an overtaken offset, two incarnations, a truncated log and a finished run. `format-1-cycles` has so
many continuous points that index objects are joined and the table begins anew, and a new lineage over old offsets.
"""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tasks.engine.run_context import RunContext
from tasks.engine.validate import validate_locally
from tasks.repository.points import PointReference
from tasks.repository.repository import Repository
from tasks.store.local.local_store import LocalStore
from tests.golden import reader
from tests.golden.expected import expected_record

SET = "set"
CHAIN, CYCLES = (Path(__file__).with_name(name) for name in ("format-1-chain", "format-1-cycles"))
EXPECTED = {folder: json.loads((folder / "expected.json").read_text()) for folder in (CHAIN, CYCLES)}
each_point = pytest.mark.parametrize(
    ("folder", "seq"),
    [(folder, seq) for folder, points in EXPECTED.items() for seq in sorted(map(int, points))],
    ids=lambda value: value.name if isinstance(value, Path) else str(value),
)


def _reasons(points: list[dict[str, Any]], member: str) -> set[str]:
    return {note["reason"] for point in points for note in point.get(member, ())}


def _rows(folder: Path, point: dict[str, Any], topic: str) -> list[dict[str, Any]]:
    return [row for row in reader.rows_of(folder, point) if row["topic"] == topic]


@pytest.mark.parametrize(
    ("folder", "kind", "topic"), [(CHAIN, "incremental", "topic-1"), (CYCLES, "continuous", "topic-1")]
)
def test_the_points_have_what_makes_chains_difficult(folder: Path, kind: str, topic: str) -> None:
    """By the independent reader: a gap, two incarnations and a truncated log."""
    points = reader.points(folder, SET)

    assert sorted(map(int, EXPECTED[folder])) == [point["seq"] for point in points]
    assert {"snapshot", kind} == {point["point_kind"] for point in points}
    assert {"deleted before it was backed up"} == _reasons(points, "gaps")
    assert {"truncated"} == _reasons(points, "truncated")
    assert {"topic created again"} == _reasons(points, "ended")
    assert [False, True] == sorted(row["is_live"] for row in _rows(folder, points[-1], topic))


def test_cycles_join_index_objects_begin_the_table_anew_and_replace_lines_of_a_lost_lineage() -> None:
    points = reader.points(CYCLES, SET)
    sizes = [(len(point["index"]), len(point["table"])) for point in points]

    assert any(later < earlier for (earlier, _), (later, _) in itertools.pairwise(sizes))
    assert any(later < earlier for (_, earlier), (_, later) in itertools.pairwise(sizes))
    [(before, after, note)] = [
        (points[number - 1], point, note) for number, point in enumerate(points) for note in point.get("truncated", ())
    ]
    old, new = (_rows(CYCLES, point, note["topic"])[note["partition"]] for point in (before, after))
    assert note["first"] < note["next"] == old["next"] < new["next"]
    assert old["base_seq"] == new["base_seq"]


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
    assert EXPECTED[folder][str(seq)] == found


@each_point
def test_a_full_validation_finds_nothing_wrong(folder: Path, seq: int, tmp_path: Path) -> None:
    """Of a copy, because reading leaves pins."""
    copy = Path(shutil.copytree(folder, tmp_path / "repository"))
    repository = Repository.open(LocalStore(copy, create=False), lambda: 1)

    result = validate_locally(RunContext(repository=repository), PointReference(SET, seq=seq), level="full")

    assert () == result.findings
    assert sum(map(len, EXPECTED[folder][str(seq)].values())) == result.checked_records
