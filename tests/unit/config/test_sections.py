"""Sections of features that are not available yet: their keys are known, and refused unless the value disables the
feature; a misspelled key is unknown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tasks.config.load import load_backup, load_policy
from tasks.model.errors import ConfigError
from tests.unit.config.test_files import BACKUP

SECTIONS = {
    "metrics": {
        "enabled": "true", "port": "9", "bind_address": "x", "path": "/m", "keep_alive_seconds": "1",
        "max_partition_labels": "1",
    },
    "encryption": {"recipients": "[x]", "identity_file": "x"},
    "schema_registry": {"url": "x"},
}  # fmt: skip


def _load(folder: Path, section: str, body: str) -> tuple[str, ...]:
    """The problems of the guide's backup file with this section."""
    path = folder / "f.yaml"
    path.write_text(f"{BACKUP}{section}: {{{body}}}\n", encoding="utf-8")
    try:
        load_backup(path, {})
    except ConfigError as error:
        return tuple(line.removeprefix(f"{path}:") for line in str(error).splitlines())
    return ()


@pytest.mark.parametrize(("section", "key"), [(section, key) for section, keys in SECTIONS.items() for key in keys])
def test_a_key_with_a_value_is_refused_in_one_sentence(tmp_path: Path, section: str, key: str) -> None:
    [problem] = _load(tmp_path, section, f"{key}: {SECTIONS[section][key]}")
    assert f"{section}' is not available yet: " in problem


@pytest.mark.parametrize("section", ["metrics", "encryption"])
def test_a_misspelled_key_in_such_a_section_is_unknown(tmp_path: Path, section: str) -> None:
    first, value = next(iter(SECTIONS[section].items()))
    problems = _load(tmp_path, section, f"{first}x: {value}")
    assert any(f"unknown key '{first}x'" in problem and f"did you mean '{first}'?" in problem for problem in problems)


@pytest.mark.parametrize(
    ("section", "body"),
    [
        ("metrics", "enabled: false, port: 8080"),
        ("encryption", "recipients: []"),
    ],
)
def test_a_section_that_disables_its_feature_is_accepted(tmp_path: Path, section: str, body: str) -> None:
    assert () == _load(tmp_path, section, body)


def test_a_policy_of_the_file_is_read_without_its_cluster(tmp_path: Path) -> None:
    path = tmp_path / "backup.yaml"
    path.write_text(f"{BACKUP}retention: {{keep_last: 3, keep_within: 7d, grace: 48h}}\n")

    file = load_policy(path, {}).file

    assert (3, "7d", "48h", 1) == (
        file.retention.keep_last,
        file.retention.keep_within,
        file.retention.grace,
        file.retention.minimum_points,
    )


@pytest.mark.parametrize("load", [load_policy, load_backup])
def test_a_lock_that_outlives_the_data_is_refused(
    tmp_path: Path, load: Callable[[Path, Mapping[str, str]], object]
) -> None:
    path = tmp_path / "backup.yaml"
    begin, _, end = BACKUP.partition("  backend: filesystem\n  path: /backups\n")
    for lock_for, is_refused in (("30d", False), ("31d", True)):
        storage = f"  backend: s3\n  bucket: b\n  object_lock_mode: compliance\n  object_lock_for: {lock_for}\n"
        path.write_text(f"{begin}{storage}{end}retention: {{keep_last: 3, maximum_age: 30d}}\n")
        if is_refused:
            with pytest.raises(ConfigError, match="'retention': maximum_age 30d is shorter than object_lock_for"):
                load(path, {})
        else:
            load(path, {})


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("minimum_points: 3", "'retention': is empty: give at least one of keep_last, keep_hourly"),
        ("keep_last: 0", "'retention.keep_last': should be at least 1"),
        ("keep_within: 7", "'retention.keep_within': should be text, found a number; put it in quotes"),
        ("keep_within: soon", "'retention.keep_within': should be a duration"),
        ("keep_tag: []", "'retention.keep_tag': should not be empty"),
        ("keep_tag: [7]", "'retention.keep_tag[0]': should be text, found a number; put it in quotes"),
        ("keep_tag: ['a b']", "'retention.keep_tag[0]': \"a b\" cannot be the key of a label"),
        ("keep_tag: ['release=']", "'retention.keep_tag[0]': The label release has a value that is not allowed"),
        ("keep_last: 1, keep_lsat: 2", "unknown key 'keep_lsat'"),
        ("keep_last: 1, full_every: 7d", "write backup.full_every"),
        ("keep_last: 1, maximum_age: 1h", "'retention': maximum_age 1h is shorter than grace 24h"),
        ("keep_last: 1, tiers: [x]", "'retention.tiers[0]': should be a mapping, found text 'x'"),
        ("keep_last: 1, tiers: [{after: 30d, class: GLACIR}]", "did you mean 'GLACIER'?"),
        ("keep_last: 1, tiers: [{after: 36h, class: GLACIER}]", "is not a number of whole days"),
        ("keep_last: 1, tiers: [{after: 30d, class: GLACIER, x: 1}]", "'retention.tiers[0].x': unknown key"),
    ],
)
def test_a_policy_that_cannot_be_carried_out_is_refused_in_one_sentence(
    tmp_path: Path, body: str, problem: str
) -> None:
    [found] = _load(tmp_path, "retention", body)
    assert problem in found


def test_a_policy_can_keep_labels_alone(tmp_path: Path) -> None:
    path = tmp_path / "backup.yaml"
    path.write_text(f"{BACKUP}retention: {{keep_tag: [release, env=prod]}}\n")

    assert ("release", "env=prod") == load_policy(path, {}).file.retention.keep_tag


@pytest.mark.parametrize("body", ["", "{}"])
def test_an_offset_storage_without_keys_makes_a_backup_incremental_too(tmp_path: Path, body: str) -> None:
    path = tmp_path / "backup.yaml"
    path.write_text(f"{BACKUP}offset_storage: {body}\n")

    loaded = load_backup(path, {})

    assert (True, ()) == (loaded.file.offset_storage is not None, loaded.notes)


def test_the_keys_of_an_offset_database_are_noted_and_misspelled_ones_are_unknown(tmp_path: Path) -> None:
    keys = ("backend", "db_path", "s3_key", "sync_interval_secs")
    path = tmp_path / "backup.yaml"
    path.write_text(BACKUP + "offset_storage:\n" + "".join(f"  {key}: x\n" for key in keys))

    notes = load_backup(path, {}).notes
    path.write_text(BACKUP + "offset_storage:\n  db_pth: x\n")
    with pytest.raises(ConfigError, match="unknown key 'db_pth' in 'offset_storage'; did you mean 'db_path'"):
        load_backup(path, {})

    assert [True] * 4 == ["the stored offsets are those of the newest restore point" in note for note in notes]
