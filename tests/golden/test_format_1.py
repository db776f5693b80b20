"""A repository of format 1 that is checked in: this program and an independent reader both read it as Kafka had it."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import zstandard

from tasks.batches.records import Record, decode_records
from tasks.engine.replay.target_batches import target_batches
from tasks.engine.run_context import RunContext
from tasks.engine.validate import validate_locally
from tasks.model.errors import UnsupportedError
from tasks.repository import document
from tasks.repository.document import seal, unseal
from tasks.repository.entries import PointEntry, decode_entry, encode_entry
from tasks.repository.frame_reader import FrameReader
from tasks.repository.lines import IndexLine
from tasks.repository.points import PointReference
from tasks.repository.repository import Repository
from tasks.store.local.local_store import LocalStore
from tests.golden import reader
from tests.golden.expected import expected_record

GOLDEN = Path(__file__).with_name("format-1")
READER = Path(reader.__file__)
EXPECTED: dict[str, dict[str, dict[str, list[list[object]]]]] = json.loads((GOLDEN / "expected.json").read_text())
POINTS = [(set_name, int(seq)) for set_name, points in EXPECTED.items() for seq in points]
each_point = pytest.mark.parametrize(("set_name", "seq"), POINTS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy, because validation writes pins."""
    return shutil.copytree(GOLDEN / "repository", tmp_path / "repository")


@pytest.fixture
def repository(folder: Path) -> Repository:
    return _open(folder)


def test_the_independent_reader_imports_nothing_of_the_program_and_is_short() -> None:
    source = READER.read_text()
    nodes = list(ast.walk(ast.parse(source)))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "." for node in nodes if isinstance(node, ast.ImportFrom)}
    roots = {name.split(".")[0] for name in names}
    assert set() == roots - sys.stdlib_module_names - {"zstandard", "lz4", "cramjam"}
    assert len(source.splitlines()) < 220


def test_the_independent_reader_lists_the_points_of_each_set(folder: Path) -> None:
    found = [(name, point["seq"]) for name in EXPECTED for point in reader.points(folder, name)]
    assert POINTS == found


@each_point
def test_the_independent_reader_yields_what_librdkafka_read_from_the_source(
    folder: Path, set_name: str, seq: int
) -> None:
    [point] = [point for point in reader.points(folder, set_name) if point["seq"] == seq]
    found: dict[str, list[list[object]]] = {name: [] for name in EXPECTED[set_name][str(seq)]}
    for topic, partition, offset, timestamp, key, value, headers in reader.records(folder, point):
        found[f"{topic}/{partition}"].append(expected_record(offset, timestamp, key, value, headers))
    assert EXPECTED[set_name][str(seq)] == found


@each_point
def test_this_program_yields_what_librdkafka_read_from_the_source(
    repository: Repository, set_name: str, seq: int
) -> None:
    found = {
        name: [expected_record(*record) for line in lines for record in _records(repository, line)]
        for name, lines in _lines(repository, set_name, seq).items()
    }
    assert EXPECTED[set_name][str(seq)] == found


@each_point
def test_a_restore_would_write_the_same_records_at_dense_offsets(
    repository: Repository, set_name: str, seq: int
) -> None:
    frames = FrameReader(repository.store)
    found = {
        name: [record for batch in target_batches(frames, lines, regroup_bytes=1 << 20) for record in batch_body(batch)]
        for name, lines in _lines(repository, set_name, seq).items()
    }
    assert {name: [record[1:] for record in records] for name, records in EXPECTED[set_name][str(seq)].items()} == found


@each_point
def test_a_full_validation_finds_nothing_wrong(repository: Repository, set_name: str, seq: int) -> None:
    reference = PointReference(set_name, seq=seq)
    result = validate_locally(RunContext(repository=repository), reference, level="full")
    assert () == result.findings
    assert result.checked_records == sum(map(len, EXPECTED[set_name][str(seq)].values()))


def test_a_flipped_byte_in_any_object_that_the_records_rest_on_stops_the_independent_reader(folder: Path) -> None:
    point = reader.points(folder, "orders-none")[0]
    [*_, fragment] = sorted((folder / "data/orders-none").rglob("*.log.zst"))
    named = [reference["key"] for member in ("index", "table") for reference in point[member]]
    for key in ("repository.json", "meta/orders-none/log/0000000001.json", *named, str(fragment.relative_to(folder))):
        stored = (folder / key).read_bytes()
        (folder / key).write_bytes(stored[:30] + bytes([stored[30] ^ 1]) + stored[31:])
        with pytest.raises(reader.Unreadable):
            [list(reader.records(folder, point)) for point in _points_anew(folder, "orders-none")]
        (folder / key).write_bytes(stored)


def _without_digest(value: Mapping[str, Any]) -> dict[str, Any]:
    """A document without the digest of its bytes."""
    return {name: one for name, one in value.items() if name != "digest"}


def test_unknown_members_survive_a_read_and_a_write() -> None:
    stored = (GOLDEN / "repository/meta/daily/log/0000000001.json").read_bytes()
    value = unseal(stored, key="entry")
    value |= {"later": {"than": ["this", None]}}
    value["totals"] |= {"later": 1}
    entry = decode_entry(seal(value), set_name="daily", seq=1, repository_id=value["repository_id"])
    assert isinstance(entry, PointEntry)
    written = unseal(encode_entry(entry)[0], key="entry")
    added = PointEntry.model_fields.keys() - value.keys()  # members that this version has added to the format
    assert _without_digest(value) == {name: one for name, one in _without_digest(written).items() if name not in added}
    assert {None} >= {written.get(name) for name in added}


@pytest.mark.parametrize("key", ["repository.json", "meta/daily/log/0000000003.json"])
def test_a_newer_major_version_is_refused_with_one_sentence(folder: Path, key: str) -> None:
    value = unseal((folder / key).read_bytes(), key=key)
    (folder / key).write_bytes(seal(value | {"format": 2}))
    with pytest.raises(UnsupportedError, match=rf"^{re.escape(key)} has repository format 2; [^.]*\.$"):
        _open(folder).point(PointReference("daily", seq=3))
    with pytest.raises(reader.Unreadable, match="format 2 is newer"):
        reader.points(folder, "daily")


def test_every_member_of_every_stored_document_is_described() -> None:
    """But plans, which a reader of backups does not need."""
    text = (Path(document.__file__).with_name("FORMAT.md")).read_text()
    quoted = re.findall(r"`[^`\n]+`", re.sub(r"(?ms)^```.*?^```", "", text))
    described = {name for part in quoted for name in re.findall(r"[a-z_0-9]+", part)}
    used = {
        name
        for path in (GOLDEN / "repository").rglob("*")
        if path.suffix in (".json", ".zst") and "data" not in path.parts and path.name != "plan.json"
        for value in _documents(path)
        for name in _members(value)
    }
    assert set() == used - described


def test_the_independent_reader_runs_by_itself(tmp_path: Path) -> None:
    command = [sys.executable, "-I", str(READER), str(GOLDEN / "repository"), "daily"]
    done = subprocess.run([*command, "1"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert sum(map(len, EXPECTED["daily"]["1"].values())) == done.stdout.count("\n")


def batch_body(batch: bytes) -> list[list[object]]:
    """The records of a batch without their offsets, which the target gives."""
    return [expected_record(*record)[1:] for record in decode_records(batch)]


def _open(folder: Path) -> Repository:
    store = LocalStore(folder, create=False)
    return Repository.open(store, lambda: time.time_ns() // 1_000_000)


def _lines(repository: Repository, set_name: str, seq: int) -> dict[str, Sequence[IndexLine]]:
    point = repository.point(PointReference(set_name, seq=seq))
    lines = point.lines(point.rows.values())
    return {f"{source.topic}/{source.partition}": found for source, found in lines.items()}


def _records(repository: Repository, line: IndexLine) -> Iterator[Record]:
    """The line's restorable records with the offsets they had, which rebuilt batches do not keep."""
    frames = FrameReader(repository.store)
    for frame, log in frames.frames(line):
        for position, header in frames.restorable(line, frame, log):
            records = decode_records(log[position : position + header.size_bytes])
            yield from (record for record in records if line.first <= record.offset < line.next)


def _points_anew(folder: Path, set_name: str) -> list[dict[str, Any]]:
    reader.fetched.cache_clear()
    return reader.points(folder, set_name)


def _documents(path: Path) -> list[Any]:
    stored = path.read_bytes()
    data = zstandard.ZstdDecompressor().decompressobj().decompress(stored) if path.suffix == ".zst" else stored
    return [json.loads(line) for line in data.splitlines()]


def _members(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for part in parts:
        yield from _members(part)
