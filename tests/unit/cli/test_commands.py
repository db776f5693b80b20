"""The commands that only read, on a repository in a folder; and the commands that are not available yet."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner

from tasks.cli.main import PLANNED_COMMANDS, app
from tasks.engine.options import RetentionPolicy
from tasks.engine.prune import change_points, plan_prune
from tasks.engine.run_context import RunContext
from tasks.repository.compressed_objects import StoredRef
from tasks.repository.entries import MarkEntry, PointEntry
from tasks.repository.leases import acquire, kept, read_lease
from tasks.repository.marks import MarkedPartition, write_mark
from tasks.repository.names import capture_lease_key, new_run_id, restore_key
from tasks.repository.partition_table import read_table
from tasks.repository.repository import Repository
from tasks.repository.set_state import SetState
from tasks.store.local.local_store import LocalStore
from tests.support.made_backup import SET, back_up, make_repository
from tests.support.made_logs import many_logs


class Made(NamedTuple):
    """A repository in a folder with one point, and the arguments that name it."""

    folder: Path
    repository: Repository
    point: PointEntry
    storage: tuple[str, str]

    def run(self, *arguments: str, code: int = 0) -> str:
        """Run a command and return its stdout. Asserts that its exit code is `code`."""
        done = CliRunner().invoke(app, [*arguments, *self.storage])
        assert code == done.exit_code, done.output
        return done.stdout

    def refusal(self, *arguments: str) -> str:
        """Run a command that is refused, and return its stderr."""
        done = CliRunner().invoke(app, [*arguments, *self.storage])
        assert (3, "") == (done.exit_code, done.stdout)
        return done.stderr

    def document(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        """Run a command with `--json` and return the document. Asserts that its exit code is `code`."""
        value: dict[str, Any] = json.loads(self.run(*arguments, "--json", code=code))
        return value


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """A new repository for each test, because some tests damage it."""
    repository = make_repository(LocalStore(tmp_path, create=True))
    return Made(tmp_path, repository, back_up(repository, many_logs()), ("--storage", f"file://{tmp_path}"))


def test_list_shows_every_point_with_its_figures(made: Made) -> None:
    listed = made.document("list")

    assert {"repository_id", "frozen", "sets"} == listed.keys()
    assert listed["frozen"] is None
    [point] = listed["sets"][SET]["points"]
    assert (1, "snapshot", "gaps") == (point["seq"], point["point_kind"], point["status"])
    assert made.point.totals.to_json() == point["totals"]
    assert f"{SET}@1" in made.run("list")
    assert {"restores": [], "unreadable": {}} == made.document("list", "--restores")


def test_describe_and_list_show_the_space_of_points(made: Made) -> None:
    stored = sum(path.stat().st_size for path in (made.folder / "data").rglob("*") if path.is_file())

    described = made.document("describe", "--backup-id", SET)["space"]
    [listed] = made.document("list", "--space")["sets"][SET]["points"]

    assert {"data_bytes": stored, "unique_bytes": stored, "dropped_bytes": 0} == described == listed["space"]
    assert "only this point needs" in made.run("describe", "--backup-id", SET)
    assert "ONLY HERE" in made.run("list", "--space")
    assert "--space is about restore points" in CliRunner().invoke(app, ["list", "--restores", "--space"]).stderr


def test_a_point_whose_index_is_damaged_is_described_without_its_space(made: Made) -> None:
    [index] = (made.folder / f"meta/{SET}/index").iterdir()
    index.write_bytes(b"x")

    assert made.document("describe", "--backup-id", SET)["space"] is None


def test_labels_are_changed_later_and_shown_and_select_points(made: Made) -> None:
    back_up(made.repository, many_logs())
    assert "LABELS" not in made.run("list")

    set_ = made.document("label", f"{SET}@1", "release=1.2.3", "env=prod")
    assert {"set": SET, "point": 1, "labels": {"release": "1.2.3", "env": "prod"}} == set_
    assert f"{SET}@1: env=test, release=1.2.3\n" == made.run("label", f"{SET}@1", "env=test")
    assert f"{SET}@2: release=2\n" == made.run("label", SET, "release=2")

    rows = [line for line in made.run("list").splitlines() if line.startswith(f"{SET}@")]
    assert ["env=test, release=1.2.3", "release=2"] == [row.rpartition("  ")[2] for row in rows]
    assert "labels: env=test, release=1.2.3\n" in made.run("describe", "--backup-id", f"{SET}@1")
    assert {"env": "test", "release": "1.2.3"} == made.document("describe", "--backup-id", f"{SET}@1")["point"][
        "labels"
    ]

    def listed(*rules: str) -> list[int]:
        options = [option for rule in rules for option in ("--label", rule)]
        return [point["seq"] for point in made.document("list", *options)["sets"][SET]["points"]]

    assert [[1, 2], [1], [2], [], [1]] == [
        listed("release"),
        listed("release=1.2.3"),
        listed("release=2"),
        listed("release=2", "env"),
        listed("release", "env=test"),
    ]
    assert "no restore point at" in made.run("list", "--label", "stage")

    assert f"{SET}@1: release=1.2.3\n" == made.run("label", f"{SET}@1", "--remove", "env")
    assert f"{SET}@1: no labels\n" == made.run("label", f"{SET}@1", "--remove", "release")
    assert [2] == listed("release")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((f"{SET}@1",), 2, "Name the labels: KEY=VALUE to add or change one"),
        ((f"{SET}@1", "release"), 2, "release is not a label. Write KEY=VALUE"),
        ((f"{SET}@1", "a=1", "a=2"), 2, "The label a occurs twice"),
        ((f"{SET}@1", "-a=1"), 2, "No such option"),
        ((f"{SET}@1", "a="), 2, "The label a has a value that is not allowed"),
        ((f"{SET}@1", "a=b\n"), 2, "The label a has a value that is not allowed"),
        ((f"{SET}@1", "a=1", "--remove", "a"), 2, "cannot be set and removed at once"),
        ((f"{SET}@1", *(f"k{number}=1" for number in range(33))), 2, "at most 32 labels. These are 33."),
        ((f"{SET}@1", "--remove", "a"), 10, f"{SET}@1 has no label a."),
        ((f"{SET}@9", "a=1"), 10, f"{SET}@9 is not a restore point"),
        (("other@1", "a=1"), 10, "There is no backup set 'other'"),
    ],
)
def test_a_label_that_cannot_be_set_is_refused_in_one_sentence_and_nothing_is_written(
    made: Made, arguments: tuple[str, ...], code: int, message: str
) -> None:
    before = made.repository.state(SET).seq
    assert message in made.document("label", *arguments, code=code)["error"]["message"]
    assert before == made.repository.state(SET).seq


def test_list_refuses_a_rule_that_no_label_can_meet(made: Made) -> None:
    assert "cannot be the key of a label" in made.document("list", "--label", "a b", code=2)["error"]["message"]
    assert (
        "--label is about restore points"
        in made.document("list", "--restores", "--label", "a", code=2)["error"]["message"]
    )


def _set_mark(made: Made, name: str, *partitions: MarkedPartition, note: str | None = None) -> StoredRef:
    run = new_run_id(made.repository.now_ms())
    ref = write_mark(made.repository.store, SET, run, partitions)

    def build(state: SetState) -> MarkEntry:
        members = made.repository.next_change(SET, state)
        return MarkEntry(**members, name=name, run=run, cluster_id="made-cluster", offsets=ref, note=note)

    made.repository.log(SET).append(build)
    return ref


def test_list_shows_marks_and_the_partitions_that_the_newest_point_does_not_contain_up_to_them(made: Made) -> None:
    rows = [row for row in read_table(made.repository.store, made.point.table, entry_seq=1).values() if row.next > 0]
    reached, later = (MarkedPartition(**row.source._asdict(), first=0, end=row.next) for row in rows[:2])
    assert "There is no mark at" in made.run("list", "--marks")
    _set_mark(made, "old", reached, note="before | after")
    _set_mark(made, "new", reached, later.model_copy(update={"end": later.end + 1}))

    old, new = made.document("list", "--marks")["marks"]
    lines = made.run("list", "--marks").splitlines()

    assert ("old", SET, 1, 1, True, []) == tuple(
        old[key] for key in ("mark", "set", "topics", "newest_point", "is_in_newest_point", "not_in_newest_point")
    )
    assert (False, 2, None) == (new["is_in_newest_point"], new["partitions"], new["note"])
    assert [{**later.source._asdict(), "end": later.end + 1, "stored_next": later.end}] == new["not_in_newest_point"]
    assert ["old", "new"] == [line.split()[0] for line in lines[1:]]
    assert ["yes", "before", "|", "after"] == lines[1].split()[-4:]
    assert "no, 1 partition not yet" in lines[2]


def test_a_mark_that_cannot_be_read_is_listed_beside_the_others(made: Made) -> None:
    ref = _set_mark(made, "damaged", MarkedPartition(topic="t", topic_id="i", partition=0, first=0, end=0))
    _set_mark(made, "whole", MarkedPartition(topic="t", topic_id="i", partition=0, first=0, end=0))
    made.repository.store.put(ref.key, [b"other bytes"])

    damaged, whole = made.document("list", "--marks", code=20)["marks"]

    assert (None, True) == (damaged["is_in_newest_point"], whole["is_in_newest_point"])
    assert ref.key in damaged["error"]


def test_a_mark_is_removed_without_its_cluster(made: Made) -> None:
    _set_mark(made, "release", MarkedPartition(topic="t", topic_id="i", partition=0, first=0, end=0))
    file = made.folder / "backup.yaml"
    file.write_text(f"mode: backup\nbackup_id: {SET}\nstorage: {{backend: filesystem, path: {made.folder}}}\n")

    def run(*arguments: str, code: int = 0) -> dict[str, Any]:
        done = CliRunner().invoke(app, ["mark", *arguments, "--config", str(file), "--json"])
        assert code == done.exit_code, done.output
        value: dict[str, Any] = json.loads(done.stdout)
        return value

    assert "cannot be combined" in run("release", "--remove", "--note", "x", code=2)["error"]["message"]
    assert {"mark": "release", "set": SET, "is_removed": True} == run("release", "--remove")
    assert {} == made.repository.state(SET).marks
    assert "has no mark release" in run("release", "--remove", code=10)["error"]["message"]


def test_list_and_describe_say_what_a_point_contains_less_than_the_point_before_it(made: Made) -> None:
    logs = many_logs()
    lost = {log.source.topic for log in logs if log.source.topic != logs[0].source.topic}
    back_up(made.repository, [log for log in logs if log.source.topic not in lost])

    first, second = made.document("list")["sets"][SET]["points"]
    assert (None, 1, len(lost)) == (first["shrunk"], second["shrunk"]["point"], second["shrunk"]["gone"])
    records = f"{first['totals']['records']} → {second['totals']['records']} records"
    assert f"{SET}@2: {len(lost)} topics of {SET}@1 are gone; {records}" in made.run("list")
    assert sorted(lost) == made.document("describe", "--backup-id", SET)["point"]["shrunk"]["gone"]
    shown = made.run("describe", "--backup-id", SET)
    assert (
        f"less than before: {len(lost)} topics of {SET}@1 are gone; {records}\ngone: {', '.join(sorted(lost))}" in shown
    )


def test_a_frozen_repository_says_so_in_every_command_that_shows_it(made: Made) -> None:
    made.run("hold", "add", "case", "--backup-id", SET, "--reason", "audit", "--by", "legal")
    frozen = made.document("freeze", "--reason", "ransomware", "--by", "on call")["frozen"]

    assert ("on call", "ransomware") == (frozen["by"], frozen["reason"])
    for command in (("list",), ("describe", "--backup-id", SET)):
        assert frozen == made.document(*command)["frozen"]
        assert "The repository is frozen since 20" in made.run(*command)
        assert " by on call: ransomware.\n" in made.run(*command)
    made.run("freeze", "--reason", "again")
    assert frozen == made.document("list")["frozen"]
    made.run("validate", "--backup-id", SET, "--level", "quick", code=0)
    refused = made.refusal("hold", "release", "case", "--backup-id", SET, "--reason", "over", "--by", "legal")
    assert 1 == refused.count("\n")
    assert "is frozen since" in refused
    assert {"frozen": None} == made.document("thaw", "--reason", "all clear")
    made.run("thaw", "--reason", "all clear", code=10)
    assert made.document("list")["frozen"] is None
    assert "frozen" not in made.run("list")
    made.run("hold", "release", "case", "--backup-id", SET, "--reason", "over", "--by", "legal")


def test_audit_shows_the_log_newest_first(made: Made) -> None:
    made.run("hold", "add", "case", "--backup-id", SET, "--reason", "audit", "--by", "legal")
    made.run("hold", "release", "case", "--backup-id", SET, "--reason", "closed", "--by", "legal")

    lines = made.run("audit", "show").splitlines()
    entries = made.document("audit", "show", "--backup-id", SET)["entries"]

    assert [f"{SET}@3", f"{SET}@2", f"{SET}@1"] == [line.split()[1] for line in lines]
    assert ["release", "hold", "point"] == [entry["kind"] for entry in entries]
    assert "hold case on all points by legal: audit" in lines[1]
    assert lines[:2] == made.run("audit", "show", "--limit", "2").splitlines()
    for since in ("7d", "2020-01-01T00:00:00Z"):
        assert lines == made.run("audit", "show", "--since", since).splitlines()
    assert "There is no such entry.\n" == made.run("audit", "show", "--since", "2100-01-01T00:00:00Z")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--backup-id", "nothing"), 10, "There is no backup set 'nothing'"),
        (("--backup-id", f"{SET}@1"), 2, f"{SET}@1 is a point. Name the set: --backup-id {SET}."),
        (("--since", "yesterday"), 2, "--since yesterday cannot be used: write a duration such as 7d"),
        (("--limit", "0"), 2, "--limit"),
    ],
)
def test_an_audit_of_nothing_is_refused_in_one_sentence(
    made: Made, arguments: tuple[str, ...], code: int, message: str
) -> None:
    done = CliRunner().invoke(app, ["audit", "show", *arguments, *made.storage])

    assert code == done.exit_code
    assert message in done.stderr


def test_an_expired_point_is_described_and_listed_until_it_is_removed(made: Made) -> None:
    back_up(made.repository, many_logs())
    context = RunContext(repository=made.repository)
    policy = RetentionPolicy(keep_last=1, grace="1s")
    change_points(made.repository, plan_prune(context, SET, policy), approved_by="Ada")

    described = made.document("describe", "--backup-id", f"{SET}@1")
    [listed] = made.document("list", "--expired")["expired"]

    assert made.point.totals.to_json() == described["point"]["totals"]
    assert ("Ada", None) == (described["expired"]["approved_by"], described["expired"]["removed_ms"])
    assert described["expired"].items() <= listed.items()
    text = made.run("describe", "--backup-id", f"{SET}@1").splitlines()
    assert text[0].startswith(f"{SET}@1 expired at 20")
    assert "because the policy keep_last: 1, minimum_points: 1, grace: 1s does not keep it" in text[0]
    assert "It can be brought back at least until 20" in text[1]
    assert "1 expired point can be brought back" in made.run("list")
    assert f"{SET}@1" in made.run("list", "--expired")
    assert made.document("describe", "--backup-id", f"{SET}@2")["expired"] is None
    made.run("list", "--expired", "--restores", code=2)
    made.run("hold", "add", "case", "--backup-id", f"{SET}@1", "--reason", "audit", "--by", "legal")
    assert "held" in made.run("list", "--expired")
    made.run("hold", "release", "case", "--backup-id", SET, "--reason", "closed", "--by", "legal")

    _remove(made, policy)

    gone = CliRunner().invoke(app, ["describe", "--backup-id", f"{SET}@1", *made.storage])
    assert (10, "") == (gone.exit_code, gone.stdout)
    assert "because the policy keep_last: 1" in gone.stderr
    assert "It was removed at 20" in gone.stderr
    assert "no expired point" in made.run("list", "--expired")
    assert "expired" not in made.run("list")
    made.run("describe", "--backup-id", f"{SET}@99", code=10)


def _remove(made: Made, policy: RetentionPolicy) -> None:
    """Remove the expired points, once their grace is over by the store's clock."""
    deadline = time.monotonic() + 30
    while made.repository.state(SET).expired:
        change_points(made.repository, plan_prune(RunContext(repository=made.repository), SET, policy))
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_restore_that_cannot_be_read_is_listed_as_unreadable(made: Made) -> None:
    made.repository.store.put(restore_key("20260101T000000000Z-aaaaaaaa", "plan"), [b"{broken"])

    listed = made.document("list", "--restores", code=20)

    assert ([], ["20260101T000000000Z-aaaaaaaa"]) == (listed["restores"], list(listed["unreadable"]))


def test_describe_prints_every_partition_setting_gap_and_group(made: Made) -> None:
    described = made.document("describe", "--backup-id", SET)

    expected = {"frozen", "expired", "point", "partitions", "topics", "groups", "clients", "space", "archived"}
    assert expected == described.keys()
    assert made.point.totals.partitions == len(described["partitions"])
    assert len(made.point.gaps) == len(described["point"]["gaps"]) > 0
    shown = made.run("describe", "--backup-id", f"{SET}@1")
    assert "gap: " in shown
    assert "groups: billing (" in shown
    assert "orders 1" in shown.split("settings set on topics: ")[1]


@pytest.mark.parametrize("level", ["quick", "full"])
def test_validate_finds_no_damage_in_an_intact_point(made: Made, level: str) -> None:
    validated = made.document("validate", "--backup-id", SET, "--level", level)

    assert (f"{SET}@1", level, [], True) == tuple(validated[key] for key in ("point", "level", "findings", "is_pinned"))


def test_damage_ends_with_exit_code_20_and_is_named_in_json(made: Made) -> None:
    data = next(made.folder.glob("data/**/*.log.zst"))
    stored = bytearray(data.read_bytes())
    stored[20] ^= 1
    data.write_bytes(stored)

    findings = made.document("validate", "--backup-id", SET, code=20)["findings"]
    assert data.name in findings[0]["object"]
    assert all({"object", "topic", "partition", "first", "next", "message"} == one.keys() for one in findings)


def test_an_unknown_level_is_refused(made: Made) -> None:
    assert "UnsupportedError" == made.document("validate", "--level", "sample", code=2)["error"]["type"]


def test_a_missing_point_ends_with_exit_code_10(made: Made) -> None:
    assert "NotFoundError" == made.document("describe", "--backup-id", f"{SET}@7", code=10)["error"]["type"]


def test_list_and_describe_write_nothing_to_the_repository(made: Made) -> None:
    before = {path for path in made.folder.rglob("*") if path.is_file() and "pins" not in path.parts}
    for arguments in (("list",), ("list", "--restores"), ("describe", "--backup-id", SET), ("list", "--json")):
        made.run(*arguments)

    assert before == {path for path in made.folder.rglob("*") if path.is_file() and "pins" not in path.parts}


@pytest.mark.parametrize("name", PLANNED_COMMANDS)
@pytest.mark.parametrize("arguments", [(), ("--help",), ("plan", "--config", "x.yaml", "-v")])
def test_a_planned_command_is_refused_with_any_arguments(name: str, arguments: tuple[str, ...]) -> None:
    done = CliRunner().invoke(app, [name, *arguments])

    assert (2, f"kafka-backup: `kafka-backup {name}` is not available yet.\n") == (done.exit_code, done.output)


def test_planned_commands_are_not_in_the_help() -> None:
    shown = CliRunner().invoke(app, ["--help"]).output
    offered = {line.split()[0] for line in shown.split("Commands:")[1].splitlines() if line.strip()}

    assert set() == offered & set(PLANNED_COMMANDS)
    assert {"backup", "list", "describe", "validate", "validate-restore", "restore", "finalize"} <= offered


def test_unlock_says_whose_lease_it_is_and_breaks_it_only_with_yes(made: Made) -> None:
    store, key = made.repository.store, capture_lease_key(SET)
    lease = acquire(store, key, ttl_ms=300)
    lease.enter_run("20260101T000000000Z-aaaaaaaa", begun_after=1)
    about = ("unlock", "--backup-id", SET)

    shown = made.document(*about)
    still = read_lease(store, key)
    text = made.run(*about, "--yes")

    assert (lease.record.owner, False) == (shown["locked_by"]["owner"], shown["is_broken"])
    assert still is not None
    assert not still.is_released
    assert lease.record.owner in text
    assert f", process {os.getpid()} on {socket.gethostname()}" in text
    assert "finishes run 20260101T000000000Z-aaaaaaaa first" in text
    broken = read_lease(store, key)
    assert broken is not None
    assert (True, "20260101T000000000Z-aaaaaaaa", 1) == (broken.is_released, broken.run, broken.begun_after)
    assert "is not locked" in made.run(*about, "--yes")


def test_unlock_does_not_break_the_lease_of_a_writer_that_is_alive(made: Made) -> None:
    lease = acquire(made.repository.store, capture_lease_key(SET), ttl_ms=1000)

    with kept(lease, threading.Event()):
        made.run("unlock", "--backup-id", SET, "--yes", code=11)
        made.run("unlock", "--backup-id", f"{SET}", code=0)


def test_an_empty_state_is_refused_and_makes_nothing(made: Made) -> None:
    message = made.document("list", "--restores", "--state", "", code=2)["error"]["message"]
    assert "--state is empty: give a folder or a URL, or leave the option out." == message


def test_the_state_of_a_point_is_shown_and_what_it_lacks_has_a_reason(made: Made) -> None:
    shown = made.run("state", "show", "--backup-id", SET)
    for text in ("TOPIC", "orders", "GROUP", "billing", "users: not included in this backup"):
        assert text in shown

    only = made.document("state", "show", "--backup-id", SET, "--topics", "--quotas")
    assert {"point", "topics", "quotas", "absent"} == only.keys()
    assert (None, {"quotas": "not included in this backup"}) == (only["quotas"], only["absent"])


def test_two_points_with_the_same_state_are_equal(made: Made) -> None:
    same = made.document("state", "diff", "--backup-id", f"{SET}@1", "--with", f"{SET}@1")
    assert (True, [], f"{SET}@1") == (same["is_equal"], same["differences"], same["after"])


def test_a_comparison_needs_a_cluster_or_another_point(made: Made) -> None:
    assert "--with ID" in made.document("state", "diff", "--backup-id", SET, code=2)["error"]["message"]


def test_an_export_is_written_to_a_file_or_printed(made: Made, tmp_path: Path) -> None:
    target = tmp_path / "state.sh"
    made.run("state", "export", "--backup-id", SET, "--format", "kafka-cli", "--output", str(target))
    assert target.read_text() == made.run("state", "export", "--backup-id", SET, "--format", "kafka-cli")
    assert "kind: KafkaTopic" in made.document("state", "export", "--backup-id", SET, "--format", "strimzi")["text"]


@pytest.mark.parametrize("arguments", [("--format", "ansible"), ("--format", "strimzi", "--output", "/missing/x")])
def test_an_export_in_an_unknown_format_or_to_a_missing_folder_is_refused(
    made: Made, arguments: tuple[str, ...]
) -> None:
    assert "ConfigError" == made.document("state", "export", "--backup-id", SET, *arguments, code=2)["error"]["type"]
