"""Damage to data objects, byte by byte, and what readers of damaged data say."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import pytest

from tasks.engine.validation.contents import read_contents
from tasks.engine.validation.damage import DamageFinding
from tasks.engine.validation.object_bytes import NamedLine, check_bytes
from tasks.engine.validation.objects import named_lines
from tasks.model.errors import DamagedError
from tasks.repository.document import sha256_hex
from tasks.repository.frame_reader import FrameReader
from tasks.repository.lines import IndexLine
from tests.support.damaged_backup import (
    DAMAGES,
    Backup,
    backup_with_everything,
    validated,
    with_damage,
)
from tests.support.made_backup import copy_store, make_backup, make_repository


@pytest.fixture(scope="module")
def backup() -> Iterator[Backup]:
    with backup_with_everything() as made:
        yield made


@pytest.mark.parametrize("compression", ["zstd", "lz4", "none"])
def test_every_flipped_byte_of_a_data_object_is_named_with_the_offsets_it_takes(compression: str) -> None:
    made = make_backup(compression=compression)
    named = named_lines(read_contents(made.store, made.point))
    key = min(named, key=lambda key: made.store.head(key).size_bytes)
    packed = max(named, key=lambda key: len(named[key]))
    for one, step in ((key, 1), (packed, 3)):
        stored = made.store.get(one)[0]
        for position in range(0, len(stored), step):
            flipped = stored[:position] + bytes([stored[position] ^ 1]) + stored[position + 1 :]
            check = check_bytes(one, flipped, named[one], repository_id=made.repository.root.repository_id)
            _assert_names(check.findings, [line for line, _ in named[one]], position)


def test_sampled_flips_of_data_are_named_by_the_whole_validation(backup: Backup) -> None:
    sample = random.Random(4)
    for _ in range(40):
        key = sample.choice(backup.kinds["data"])
        stored = backup.store.get(key)[0]
        position, bit = sample.randrange(len(stored)), 1 << sample.randrange(8)
        store = copy_store(backup.store)
        store.put(key, [stored[:position] + bytes([stored[position] ^ bit]) + stored[position + 1 :]])
        findings = validated(store, "full")
        assert {key} == {finding.object for finding in findings}
        _assert_names(findings, backup.lines[key], position)


def _assert_names(findings: Sequence[DamageFinding], lines: Sequence[IndexLine], position: int) -> None:
    """The frame that has the byte is among the named offsets; a byte of no frame concerns them all."""
    hit = [
        (line, frame)
        for line in lines
        for frame in line.frames
        if frame.position <= position < frame.position + frame.stored_bytes
    ]
    assert findings, position
    for line, frame in hit:
        assert any(
            (finding.topic, finding.partition) == (line.topic, line.partition)
            and (finding.first or 0) <= max(frame.first, line.first)
            and (finding.next or 0) >= min(frame.next, line.next)
            for finding in findings
        ), (position, findings)
    if not hit:
        assert {(line.topic, line.partition) for line in lines} == {(one.topic, one.partition) for one in findings}


@pytest.mark.parametrize("damage", [*DAMAGES, "removed"])
def test_a_restore_names_damaged_data_with_topic_partition_and_offsets(backup: Backup, damage: str) -> None:
    for key, lines in backup.lines.items():
        reader = FrameReader(with_damage(backup.store, key, damage))
        errors = [(line, error) for line in lines if (error := _read_error(reader, line)) is not None]
        assert errors or damage == "a byte appended", "only what lies behind an object's end can go unseen"
        for line, error in errors:
            assert key == error.key
            assert f"topic {line.topic}, partition {line.partition}, offsets " in str(error)


def _read_error(reader: FrameReader, line: IndexLine) -> DamagedError | None:
    try:
        for frame, log in reader.frames(line):
            list(reader.batches(line, frame, log))
    except DamagedError as error:
        return error
    return None


def test_a_line_that_lies_about_a_frame_is_named(backup: Backup) -> None:
    for key, lines in backup.lines.items():
        stored = backup.store.get(key)[0]
        repository_id = make_repository(backup.store).root.repository_id
        line = lines[0]
        frame = line.frames[0]
        for lie in (
            frame._replace(restorable=frame.restorable + 1),
            frame._replace(is_dense=not frame.is_dense),
            frame._replace(max_ts=1),
            frame._replace(oldest_ts=1),
            frame._replace(log_bytes=frame.log_bytes - 1),
            frame._replace(position=frame.position + 1),
            frame._replace(next=frame.next + 100),
        ):
            told = line.model_copy(update={"frames": (lie, *line.frames[1:])})
            [finding, *_] = check_bytes(key, stored, _only(told), repository_id=repository_id).findings
            assert (line.topic, line.partition) == (finding.topic, finding.partition)
        for change in (
            {"codecs": ("zstd", "zstd")},
            {"largest_batch_bytes": 0},
            {"timestamp_type": "mixed"},
            {"epochs": ((9, 0),)},
            {"captured_ms": 0},
            {"topic": "strange"},
            {"sha256": sha256_hex(b"")},
        ):
            told = line.model_copy(update=change)
            assert check_bytes(key, stored, _only(told), repository_id=repository_id).findings


def _only(line: IndexLine) -> list[NamedLine]:
    return [NamedLine(line, ())]


def test_batches_of_other_offsets_than_the_frames_are_named_by_a_restore(backup: Backup) -> None:
    reader = FrameReader(backup.store)
    for line in (line for lines in backup.lines.values() for line in lines):
        for frame, log in reader.frames(line):
            elsewhere = frame._replace(first=frame.first + 1000, next=frame.next + 1000)
            with pytest.raises(DamagedError, match=f"topic {line.topic}, .* it contains a batch at offset"):
                list(reader.batches(line, elsewhere, log))
