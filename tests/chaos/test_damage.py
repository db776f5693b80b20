"""Damage is named: every kind of object, flipped, cut, removed or swapped, has its stated answer."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest

from tasks.engine.validation.damage import DamageFinding
from tasks.engine.validation.objects import Level
from tasks.model.errors import DamagedError
from tasks.repository import hints
from tasks.repository.fragments import read_fragment
from tasks.repository.leases import acquire
from tasks.repository.lines import IndexLine
from tasks.repository.names import ROOT_KEY, capture_lease_key, restore_key
from tasks.repository.plans import read_plan
from tasks.repository.repository import Repository
from tasks.repository.restores import read_restore_plan
from tests.support.damaged_backup import (
    DAMAGES,
    RESTORE,
    Backup,
    backup_with_everything,
    named_objects,
    validated,
    with_damage,
    with_swapped,
)
from tests.support.made_backup import SET, copy_store, keys, make_backup, make_repository, restorable_records
from tests.support.made_logs import plain_log


@pytest.fixture(scope="module")
def backup() -> Iterator[Backup]:
    with backup_with_everything() as made:
        yield made


@pytest.mark.parametrize("level", ["quick", "full"])
def test_an_undamaged_backup_has_no_findings(backup: Backup, level: Level) -> None:
    assert [] == validated(backup.store, level)


@pytest.mark.parametrize("kind", ["data", "log", "index", "table", "topics", "groups"])
@pytest.mark.parametrize("damage", [*DAMAGES, "removed"])
def test_damage_to_what_a_point_rests_on_is_named_by_both_levels(backup: Backup, kind: str, damage: str) -> None:
    assert backup.kinds[kind]
    for key in backup.kinds[kind]:
        store = with_damage(backup.store, key, damage)
        for level in ("quick", "full"):
            assert key in named_objects(store, level), (key, level)


@pytest.mark.parametrize("damage", [*DAMAGES, "removed"])
def test_damaged_data_is_named_with_topic_partition_and_offsets(backup: Backup, damage: str) -> None:
    for key in backup.kinds["data"]:
        findings = validated(with_damage(backup.store, key, damage), "full")
        assert {key} == {finding.object for finding in findings}
        for finding in findings:
            assert any(_is_within(finding, line) for line in backup.lines[key]), finding
            assert f"topic {finding.topic}, partition {finding.partition}, offsets {finding.first} to" in str(finding)


def test_a_missing_object_is_named_for_every_partition_it_packs(backup: Backup) -> None:
    key = max(backup.lines, key=lambda key: len(backup.lines[key]))
    findings = validated(copy_store(backup.store, without=[key]), "quick")
    assert sorted((line.topic, line.partition, line.first, line.next) for line in backup.lines[key]) == sorted(
        (finding.topic, finding.partition, finding.first, finding.next) for finding in findings
    )


def test_all_damage_is_reported_and_not_the_first(backup: Backup) -> None:
    doomed = [*backup.kinds["data"][:2], *backup.kinds["groups"], *backup.kinds["topics"]]
    findings = validated(copy_store(backup.store, without=doomed), "quick")
    assert set(doomed) == {finding.object for finding in findings}


def test_a_damaged_index_is_named_with_the_offsets_that_are_lost_with_it(backup: Backup) -> None:
    for key in backup.kinds["index"]:
        findings = validated(with_damage(backup.store, key, "removed"), "quick")
        assert {key} == {finding.object for finding in findings}
        assert any(finding.topic and finding.next is not None for finding in findings)


@pytest.mark.parametrize("kind", ["fragment", "plan"])
@pytest.mark.parametrize("damage", [*DAMAGES, "removed"])
def test_damage_to_fragments_and_plans_is_named_by_full_alone(backup: Backup, kind: str, damage: str) -> None:
    assert backup.kinds[kind]
    for key in backup.kinds[kind]:
        store = with_damage(backup.store, key, damage)
        assert [] == validated(store, "quick")
        assert {key} == named_objects(store, "full")


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_fragment_without_an_object_is_named_by_full(backup: Backup, damage: str) -> None:
    assert backup.kinds["lone fragment"]
    for key in backup.kinds["lone fragment"]:
        assert [key] == [finding.object for finding in validated(with_damage(backup.store, key, damage), "full")]


@pytest.mark.parametrize("kind", ["fragment", "plan"])
def test_damaged_fragments_and_plans_are_refused_by_their_readers(backup: Backup, kind: str) -> None:
    for key in backup.kinds[kind]:
        for damage in [*DAMAGES, "removed"]:
            store = with_damage(backup.store, key, damage)
            with pytest.raises(DamagedError, match=key):
                read_fragment(store, key) if kind == "fragment" else read_plan(store, SET, key.split("/")[3])


@pytest.mark.parametrize("kind", ["head", "checkpoint", "lease", "pin", "restore"])
@pytest.mark.parametrize("damage", [*DAMAGES, "removed"])
def test_damage_to_hints_leases_pins_and_restores_is_passed_over(backup: Backup, kind: str, damage: str) -> None:
    assert backup.kinds[kind]
    for key in backup.kinds[kind]:
        assert [] == validated(with_damage(backup.store, key, damage), "full")


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_head_is_rewritten_by_the_next_change(backup: Backup, damage: str) -> None:
    [key] = backup.kinds["head"]
    store = with_damage(backup.store, key, damage)
    hints.write_head(store, SET, make_repository(store).state(SET))
    assert backup.store.get(key)[0] == store.get(key)[0]


@pytest.mark.parametrize("damage", [*DAMAGES, "removed"])
def test_a_repository_without_its_root_is_damaged_and_never_new(backup: Backup, damage: str) -> None:
    store = with_damage(backup.store, ROOT_KEY, damage)
    for open_ in (Repository.open, Repository.open_or_create):
        with pytest.raises(DamagedError, match=r"repository\.json") as raised:
            open_(store, lambda: 0)
        assert ROOT_KEY == raised.value.key


@pytest.mark.parametrize("damage", [*DAMAGES, "removed"])
def test_a_damaged_lease_is_taken_over_at_once(backup: Backup, damage: str) -> None:
    store = with_damage(backup.store, capture_lease_key(SET), damage)
    lease = acquire(store, capture_lease_key(SET), waiting=lambda owner: pytest.fail("it waited"))
    lease.enter_run("next", begun_after=4)
    assert "next" == lease.record.run


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_restore_plan_is_named_when_it_is_used(backup: Backup, damage: str) -> None:
    key = restore_key(RESTORE, "plan")
    with pytest.raises(DamagedError, match=key):
        read_restore_plan(with_damage(backup.store, key, damage), RESTORE)


@pytest.mark.parametrize("kind", ["data", "log", "index", "fragment", "plan"])
def test_swapped_siblings_are_both_named(backup: Backup, kind: str) -> None:
    siblings = backup.kinds[kind]
    assert len(siblings) > 1
    for one, other in pairwise(siblings):
        named = named_objects(with_swapped(backup.store, one, other), "full")
        assert named & {one, other} if kind == "log" else named >= {one, other}


def test_swapped_states_are_both_named(backup: Backup) -> None:
    [one], [other] = backup.kinds["topics"], backup.kinds["groups"]
    assert {one, other} == named_objects(with_swapped(backup.store, one, other), "quick")


def test_swapped_tables_are_named(backup: Backup) -> None:
    one, other = keys(backup.store, f"meta/{SET}/partitions/")
    assert backup.kinds["table"] == [
        finding.object
        for finding in validated(with_swapped(backup.store, one, other), "quick")
        if finding.topic is None
    ]


def test_swapped_checkpoints_are_passed_over(backup: Backup) -> None:
    assert [] == validated(with_swapped(backup.store, *backup.kinds["checkpoint"]), "full")


def test_swapped_restore_plans_are_named_when_they_are_used(backup: Backup) -> None:
    store = copy_store(backup.store)
    store.put(restore_key("another", "plan"), [store.get(restore_key(RESTORE, "plan"))[0]])
    with pytest.raises(DamagedError, match="another"):
        read_restore_plan(store, "another")


def test_data_of_one_shape_that_was_swapped_is_named_and_never_restored() -> None:
    made = make_backup([plain_log("orders", 0, batches=4), plain_log("orders", 1, batches=4)], compression="none")
    one, other = keys(made.store, "data/")
    assert made.store.head(one).size_bytes == made.store.head(other).size_bytes
    swapped = with_swapped(made.store, one, other)
    assert {one, other} == named_objects(swapped, "full")
    with pytest.raises(DamagedError, match="topic orders, partition 0, offsets 0 to 19"):
        restorable_records(make_repository(swapped), made.point)


def _is_within(finding: DamageFinding, line: IndexLine) -> bool:
    is_same = (finding.topic, finding.partition) == (line.topic, line.partition)
    return is_same and line.first <= (finding.first or 0) < (finding.next or 0) <= line.next
