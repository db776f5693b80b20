"""Names: what a set may be called, ids that sort by time, keys that cannot meet."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tasks.model.errors import ConfigError
from tasks.repository.names import (
    capture_lease_key,
    check_set_name,
    data_key,
    fragment_beside,
    fragment_key,
    fragment_prefix,
    fragment_writer,
    log_key,
    new_id,
    new_run_id,
    origin_of,
    restore_key,
    restore_lease_key,
    restore_part,
)
from tasks.store.keys import check_key

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("name", ["orders", "0", "a.b-c_d", "A" * 200])
def test_a_set_name_of_the_alphabet_is_taken_as_it_is(name: str) -> None:
    assert name == check_set_name(name)


@pytest.mark.parametrize("name", ["", ".hidden", "-x", "_x", "a/b", "a b", "ä", "A" * 201, "a\n"])
def test_any_other_set_name_is_a_configuration_error(name: str) -> None:
    with pytest.raises(ConfigError, match="not a name for a backup set"):
        check_set_name(name)


def test_run_ids_sort_by_time_and_never_repeat() -> None:
    times = [0, 999, 1_000, 1_700_000_000_000, 1_700_000_000_001]
    runs = [new_run_id(time) for time in times]
    assert sorted(runs) == runs
    assert runs[3].startswith("20231114T221320000Z-")
    assert new_run_id(0) != new_run_id(0)


def test_keys_are_ones_that_every_store_takes() -> None:
    run, writer = new_run_id(0), new_id()
    for key in (
        data_key("a.b", run, writer, 7, ".log.zst"),
        fragment_key("a.b", run, writer, 7),
        log_key("a.b", 1),
        capture_lease_key("a.b"),
        restore_lease_key(run),
    ):
        assert key == check_key(key)


def test_log_keys_sort_by_number() -> None:
    keys = [log_key("set", seq) for seq in (1, 9, 10, 99, 100, 1_000_000)]
    assert sorted(keys) == keys


def test_the_lease_of_a_restore_is_never_the_lease_of_a_set() -> None:
    with pytest.raises(ConfigError):
        check_set_name(restore_lease_key("x").removeprefix("leases/").removesuffix(".json"))


def test_the_parts_of_a_key_are_read_back_from_it() -> None:
    run, writer = new_run_id(0), new_id()
    data, fragment = data_key("a.b", run, writer, 7, ".log.zst"), fragment_key("a.b", run, writer, 7)
    assert ("a.b", run) == origin_of(data)
    assert fragment == fragment_beside(data)
    assert fragment.startswith(fragment_prefix("a.b", run))
    assert writer == fragment_writer(fragment)
    assert (run, "targets") == restore_part(restore_key(run, "targets"))


def test_no_other_module_spells_a_key() -> None:
    folders = ("meta/", "data/", "fragments/", "heads/", "leases/", "pins/", "restores/")
    spelled = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "tasks").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith(folders)
    }
    assert {"tasks/repository/names.py"} == spelled
