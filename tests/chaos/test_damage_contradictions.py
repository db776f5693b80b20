"""What is intact and yet wrong: edited, mixed up, cut off, or written by a newer version."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tasks.engine.run_context import RunContext
from tasks.engine.validate import validate_locally
from tasks.model.errors import DamagedError, UnsupportedError
from tasks.repository import hints
from tasks.repository.leases import acquire
from tasks.repository.names import ROOT_KEY, capture_lease_key, log_key, plan_key, restore_key
from tasks.repository.plans import read_plan
from tasks.repository.points import PointReference
from tasks.repository.repository import Repository
from tasks.repository.restores import read_restore_plan
from tests.support.damaged_backup import (
    RESTORE,
    Backup,
    backup_with_everything,
    named_objects,
    validated,
    with_edited,
)
from tests.support.made_backup import SET, copy_store, make_repository


@pytest.fixture(scope="module")
def backup() -> Iterator[Backup]:
    with backup_with_everything() as made:
        yield made


def test_an_edited_entry_is_named_by_the_one_that_follows(backup: Backup) -> None:
    for seq in (1, 2, 3):
        findings = validated(with_edited(backup.store, log_key(SET, seq), time_ms=7), "quick")
        assert log_key(SET, seq + 1) in {finding.object for finding in findings}


def test_an_edited_last_entry_contradicts_the_head(backup: Backup) -> None:
    findings = validated(with_edited(backup.store, log_key(SET, 4), time_ms=7), "quick")
    assert log_key(SET, 4) in {finding.object for finding in findings}


def test_a_head_beyond_the_end_of_the_log_is_damage(backup: Backup) -> None:
    [head] = backup.kinds["head"]
    assert log_key(SET, 5) in named_objects(with_edited(backup.store, head, seq=5), "quick")


def test_a_checkpoint_that_contradicts_the_log_is_damage(backup: Backup) -> None:
    for key in backup.kinds["checkpoint"]:
        seq = int(key.rpartition("/")[2].partition(".")[0])
        state = hints.read_checkpoint(backup.store, SET, seq)
        assert state is not None
        copy = copy_store(backup.store, without=[key])
        hints.write_checkpoint(copy, SET, state.model_copy(update={"newest_point": None, "points": {}}))
        assert key in named_objects(copy, "quick", f"{SET}@1")


def test_a_checkpoint_beyond_the_end_of_the_log_is_damage(backup: Backup) -> None:
    [head] = backup.kinds["head"]
    cut = copy_store(backup.store, without=[head, log_key(SET, 4)])
    [checkpoint] = [key for key in backup.kinds["checkpoint"] if key.endswith("4.json.zst")]
    assert {log_key(SET, 4), checkpoint} == {finding.object for finding in validated(cut, "quick")}


def test_a_missing_entry_is_damage_also_without_head_and_checkpoints(backup: Backup) -> None:
    hints_of_set = [*backup.kinds["head"], *backup.kinds["checkpoint"]]
    cut = copy_store(backup.store, without=[*hints_of_set, log_key(SET, 2)])
    assert log_key(SET, 2) in named_objects(cut, "quick", f"{SET}@1")


def test_a_point_that_a_damaged_log_hides_is_damage_and_not_unknown(backup: Backup) -> None:
    without_hints = copy_store(backup.store, without=[*backup.kinds["head"], *backup.kinds["checkpoint"]])
    cut = copy_store(without_hints, without=[log_key(SET, 1)])
    with pytest.raises(DamagedError, match=log_key(SET, 1)):
        validate_locally(RunContext(repository=make_repository(cut)), PointReference(SET), level="quick")


# ── newer versions ──────────────────────────────────────────────────────────────────────────────────────────────────


def _is_one_sentence(error: BaseException) -> bool:
    text = str(error)
    return "\n" not in text and text.endswith(".") and ". " not in text


def test_a_newer_repository_is_refused_with_one_sentence(backup: Backup) -> None:
    with pytest.raises(UnsupportedError, match="format 2") as raised:
        Repository.open(with_edited(backup.store, ROOT_KEY, format=2), lambda: 0)
    assert _is_one_sentence(raised.value)


def test_an_entry_of_a_newer_version_or_unknown_kind_is_refused(backup: Backup) -> None:
    for change in ({"format": 2}, {"kind": "melt"}):
        with pytest.raises(UnsupportedError, match=log_key(SET, 4)) as raised:
            validated(with_edited(backup.store, log_key(SET, 4), **change), "quick")
        assert _is_one_sentence(raised.value)


def test_newer_leases_plans_and_restores_are_refused_and_newer_hints_passed_over(backup: Backup) -> None:
    [plan, *_] = backup.kinds["plan"]
    with pytest.raises(UnsupportedError, match="format 2"):
        read_plan(with_edited(backup.store, plan, format=2), SET, plan.split("/")[3])
    assert plan_key(SET, plan.split("/")[3]) == plan
    with pytest.raises(UnsupportedError, match="format 2"):
        acquire(with_edited(backup.store, capture_lease_key(SET), format=2), capture_lease_key(SET))
    with pytest.raises(UnsupportedError, match="format 2"):
        read_restore_plan(with_edited(backup.store, restore_key(RESTORE, "plan"), format=2), RESTORE)
    [head] = backup.kinds["head"]
    assert [] == validated(with_edited(backup.store, head, format=2), "quick")
