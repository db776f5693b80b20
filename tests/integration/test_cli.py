"""The command with real files and a real Kafka: output, JSON documents and exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tasks.broker.admin.admin import Admin
from tasks.broker.kafka_access import KafkaAdmin
from tasks.broker.raw.connection import ConnectionOptions
from tasks.repository.leases import acquire, kept
from tasks.repository.names import capture_lease_key
from tasks.store.local.local_store import LocalStore
from tests.support.kafka import KafkaCluster
from tests.support.positions import commit_positions, group_member
from tests.support.producing import OutRecord, create_topic, delete_records, produce
from tests.support.reading import read_all

COMMAND = str(Path(sys.executable).with_name("kafka-backup"))
OLD_MS = 1_600_000_000_000


class Shell:
    """A folder with backup.yaml and restore.yaml, in which the command runs."""

    def __init__(self, folder: Path, bootstrap: str, topic: str) -> None:
        self.folder = folder
        self.topic = topic
        storage = f"storage: {{backend: filesystem, path: {folder}/repository, prefix: backups/production}}\n"
        (folder / "backup.yaml").write_text(
            f'mode: backup\nbackup_id: "first-backup-orders"\nsource:\n  bootstrap_servers: ["{bootstrap}"]\n'
            f"  topics:\n    include: [{topic}]\n{storage}"
            "backup:\n  compression: zstd\n  stop_at_current_offsets: true\n  consumer_group_snapshot: true\n"
        )
        (folder / "restore.yaml").write_text(
            f'mode: restore\nbackup_id: "first-backup-orders"\ntarget:\n  bootstrap_servers: ["{bootstrap}"]\n{storage}'
            f"restore:\n  topic_mapping: {{{topic}: {topic}-restored}}\n  consumer_group_strategy: header-based\n"
        )

    def set_restore_option(self, line: str) -> None:
        """Add a line to the section `restore` of restore.yaml."""
        path = self.folder / "restore.yaml"
        path.write_text(path.read_text().replace("restore:\n", f"restore:\n  {line}\n", 1))

    def run(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run the command. Asserts that its exit code is `code` and that it prints no traceback."""
        done = subprocess.run(
            [COMMAND, *arguments], cwd=self.folder, capture_output=True, text=True, timeout=120, check=False, input=""
        )
        assert code == done.returncode, done.stderr
        assert "Traceback" not in done.stderr
        return done

    def document(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        """Run the command with `--json` and return the one document that it prints to stdout."""
        value: dict[str, Any] = json.loads(self.run(*arguments, "--json", code=code).stdout)
        return value


@pytest.fixture
def shell(kafka: KafkaCluster, topic_name: str, tmp_path: Path) -> Shell:
    """A topic with a hundred old records, and files that back it up and restore it."""
    create_topic(kafka.bootstrap, topic_name, configs={"retention.ms": "-1"})
    records = [OutRecord(b"key", b"%d" % number, timestamp=OLD_MS) for number in range(100)]
    produce(kafka.bootstrap, topic_name, records)
    return Shell(tmp_path, kafka.bootstrap, topic_name)


@pytest.mark.kafka
def test_the_commands_of_the_guide_back_up_validate_and_restore(shell: Shell, kafka: KafkaCluster) -> None:
    shell.run("backup", "--config", "backup.yaml")
    listed = shell.run("list", "--config", "backup.yaml").stdout
    validated = shell.run("validate", "--config", "backup.yaml", "--backup-id", "first-backup-orders")
    shell.run("restore", "--config", "restore.yaml")

    assert "first-backup-orders@1" in listed
    assert "no damage found" in validated.stdout
    assert "first-backup-orders is first-backup-orders@1 of " in validated.stderr
    expected = [record.value for record in read_all(kafka.bootstrap, shell.topic)]
    assert expected == [record.value for record in read_all(kafka.bootstrap, f"{shell.topic}-restored")]


@pytest.mark.kafka
def test_every_command_with_json_prints_one_document_to_stdout(shell: Shell) -> None:
    made = shell.document("backup", "--config", "backup.yaml")
    assert ("point", 100) == (made["point"]["kind"], made["point"]["totals"]["records"])

    listed = shell.document("list", "--storage", f"file://{shell.folder}/repository/backups/production")
    assert [1] == [point["seq"] for point in listed["sets"]["first-backup-orders"]["points"]]

    described = shell.document("describe", "--config", "backup.yaml", "--backup-id", "first-backup-orders@1")
    assert [(0, 100)] == [(row["first"], row["next"]) for row in described["partitions"]]

    validated = shell.document("validate", "--config", "backup.yaml", "--level", "quick")
    assert ([], "quick") == (validated["findings"], validated["level"])

    previewed = shell.document("validate-restore", "--config", "restore.yaml")
    assert [100] == [copy["records"] for copy in previewed["plan"]["partitions"]]

    restored = shell.document("restore", "--config", "restore.yaml")
    assert ([], []) == (restored["mismatches"], restored["positions"])

    restores = shell.document("list", "--config", "backup.yaml", "--restores")["restores"]
    assert [restored["restore"]] == [one["restore"] for one in restores]


@pytest.mark.kafka
def test_a_pipeline_labels_a_point_and_sets_a_mark_with_one_call_each(shell: Shell, kafka: KafkaCluster) -> None:
    made = shell.document("backup", "--config", "backup.yaml", "--label", "release=1.2.3", "--label", "env=prod")
    produce(kafka.bootstrap, shell.topic, [OutRecord(b"key", b"more")])
    marked = shell.document("mark", "release-1.2.3", "--config", "backup.yaml", "--note", "before the migration")
    again = shell.document("mark", "release-1.2.3", "--config", "backup.yaml", code=3)

    assert {"release": "1.2.3", "env": "prod"} == made["point"]["labels"]
    listed = shell.document("list", "--config", "backup.yaml", "--label", "release=1.2.3", "--label", "env")
    assert [1] == [point["seq"] for point in listed["sets"]["first-backup-orders"]["points"]]
    assert [(shell.topic, 0, 101)] == [(part["topic"], part["first"], part["end"]) for part in marked["partitions"]]
    assert "has a mark release-1.2.3 already" in again["error"]["message"]

    [mark] = shell.document("list", "--marks", "--config", "backup.yaml")["marks"]
    assert (False, [(101, 100)]) == (
        mark["is_in_newest_point"],
        [(part["end"], part["stored_next"]) for part in mark["not_in_newest_point"]],
    )
    shell.run("backup", "--config", "backup.yaml")
    [mark] = shell.document("list", "--marks", "--config", "backup.yaml")["marks"]
    assert (True, "before the migration") == (mark["is_in_newest_point"], mark["note"])


@pytest.mark.kafka
def test_a_dry_run_prints_the_plan_and_writes_nothing(shell: Shell) -> None:
    plan = shell.document("backup", "--config", "backup.yaml", "--dry-run")["plan"]

    assert [(0, 100)] == [(part["start"], part["end"]) for part in plan["partitions"]]
    assert not (shell.folder / "repository").exists()


@pytest.mark.kafka
def test_a_wiped_topic_is_stated_by_the_backup_by_list_and_before_a_restore(shell: Shell, kafka: KafkaCluster) -> None:
    shell.run("backup", "--config", "backup.yaml")
    with Admin(ConnectionOptions(bootstrap_servers=kafka.bootstrap_servers)) as admin:
        admin.delete_topics([shell.topic])
    create_topic(kafka.bootstrap, shell.topic)
    produce(kafka.bootstrap, shell.topic, [OutRecord(b"key", b"alone")])

    backed_up = shell.run("backup", "--config", "backup.yaml")
    document = shell.document("list", "--config", "backup.yaml")
    previewed = shell.run("validate-restore", "--config", "restore.yaml", "-q")

    sentence = "1 topic of first-backup-orders@1 was created again; 100 → 1 records"
    assert f"less than before: {sentence}\ncreated again: {shell.topic}\n" in backed_up.stdout
    assert f"first-backup-orders@2: {sentence}" in shell.run("list", "--config", "backup.yaml").stdout
    [_, shrunk] = [point["shrunk"] for point in document["sets"]["first-backup-orders"]["points"]]
    assert (1, 1, 100, 1) == tuple(shrunk[name] for name in ("point", "created_again", "records_before", "records"))
    warning = "warning: first-backup-orders@2: an older point of the set contains more: "
    cure = 'To restore the older state, set backup_id: "first-backup-orders@1".'
    assert f"{warning}{sentence}. {cure}\n" in previewed.stderr


@pytest.mark.kafka
def test_a_pattern_that_looks_like_an_expression_gets_a_note_and_quiet_leaves_it_out(shell: Shell) -> None:
    path = shell.folder / "backup.yaml"
    path.write_text(path.read_text().replace(f"[{shell.topic}]", f'[{shell.topic}, "{shell.topic}.*"]'))

    done = shell.run("backup", "--config", "backup.yaml")
    quiet = shell.run("backup", "--config", "backup.yaml", "-q")

    note = f"note: topics.include '{shell.topic}.*' is a pattern in which '.' is a dot and * is any text: it selected "
    assert f"{note}no topic. A regular expression begins with ~: '~{shell.topic}.*'.\n" in done.stderr
    assert ("", True) == (quiet.stderr, "first-backup-orders@2" in quiet.stdout)


@pytest.mark.kafka
def test_deferred_retention_is_listed_until_finalize_applies_it(shell: Shell, kafka: KafkaCluster) -> None:
    with KafkaAdmin(kafka.connection) as admin:
        admin.alter_topic_configs(shell.topic, {"retention.ms": "3000000000000"}, ())  # 95 years
    shell.run("backup", "--config", "backup.yaml")
    shell.set_restore_option("finalize: defer")
    restored = shell.document("restore", "--config", "restore.yaml")
    assert [f"{shell.topic}-restored"] == restored["to_finalize"]

    [waiting] = shell.document("list", "--config", "backup.yaml", "--restores")["restores"]
    assert ("waiting for finalize", [f"{shell.topic}-restored"]) == (waiting["state"], waiting["to_finalize"])

    shell.run("finalize", restored["restore"], "--config", "restore.yaml")
    [done] = shell.document("list", "--config", "backup.yaml", "--restores")["restores"]
    assert ("finished", []) == (done["state"], done["to_finalize"])
    assert "nothing to finalize" in shell.run("finalize", restored["restore"], "--config", "restore.yaml").stdout


@pytest.mark.kafka
def test_a_target_that_is_not_empty_is_refused_and_a_purge_must_be_confirmed(shell: Shell, kafka: KafkaCluster) -> None:
    shell.run("backup", "--config", "backup.yaml")
    shell.run("restore", "--config", "restore.yaml")

    refused = shell.run("restore", "--config", "restore.yaml", code=3)
    assert "is not empty" in refused.stderr
    assert ["kafka-backup: The restore was refused"] == [
        line.partition(" and nothing")[0] for line in refused.stderr.splitlines() if "is not empty" in line
    ]

    shell.set_restore_option("purge_topics: true")
    assert "--yes" in shell.run("restore", "--config", "restore.yaml", code=2).stderr

    shell.run("restore", "--config", "restore.yaml", "--yes")
    assert 100 == len(read_all(kafka.bootstrap, f"{shell.topic}-restored"))


@pytest.mark.kafka
def test_positions_are_written_only_if_the_file_says_so_and_later_if_the_group_has_members(
    shell: Shell, kafka: KafkaCluster
) -> None:
    group = f"{shell.topic}-group"
    commit_positions(kafka.bootstrap, group, shell.topic, {0: 40})
    shell.run("backup", "--config", "backup.yaml")
    shell.set_restore_option(f"consumer_groups: [{group}]")
    assert (False, [(group, 40, None)]) == _positions(shell.document("restore", "--config", "restore.yaml"))

    shell.set_restore_option("reset_consumer_offsets: true")
    shell.set_restore_option("purge_topics: true")
    with group_member(kafka.bootstrap, group, shell.topic):
        restored = shell.document("restore", "--config", "restore.yaml", "--yes", code=3)
    # The log of a purged topic goes on at its old end: the hundred records begin at 100.
    written, [(name, offset, failure)] = _positions(restored)
    assert (True, group, 140) == (written, name, offset)
    assert "active members" in (failure or "")

    restore = (restored["restore"], "--config", "restore.yaml")
    assert "1 position: 1 missing." in shell.run("offsets", "verify", *restore, code=3).stdout
    shell.run("offsets", "apply", *restore, "--group", group)
    assert "1 position: 1 equal." in shell.run("offsets", "verify", *restore).stdout
    # The group has its position on the source topic too, so it is not deleted.
    assert (
        "has others that are not of this restore" in shell.run("offsets", "rollback", *restore, "--all", code=3).stdout
    )
    assert "equal" == shell.document("offsets", "plan", *restore)["positions"][0]["state"]


def _positions(restored: dict[str, Any]) -> tuple[bool, list[tuple[str, int, str | None]]]:
    positions = [(one["group"], one["target_offset"], one["failure"]) for one in restored["positions"]]
    return restored["positions_written"], positions


@pytest.mark.kafka
def test_a_restore_with_dry_run_changes_nothing(shell: Shell, kafka: KafkaCluster) -> None:
    shell.run("backup", "--config", "backup.yaml")
    shell.set_restore_option("dry_run: true")
    previewed = shell.document("restore", "--config", "restore.yaml")

    assert (False, [f"{shell.topic}-restored"]) == (previewed["is_refused"], previewed["topics_to_create"])
    with Admin(kafka.connection) as admin:
        assert [] == admin.describe_topics([f"{shell.topic}-restored"])
    assert [] == shell.document("list", "--config", "backup.yaml", "--restores")["restores"]


@pytest.mark.kafka
def test_a_set_whose_lease_another_writer_holds_is_refused(shell: Shell) -> None:
    shell.run("backup", "--config", "backup.yaml")
    store = LocalStore(shell.folder / "repository/backups/production", create=False)
    lease = acquire(store, capture_lease_key("first-backup-orders"), ttl_ms=4_000)
    with kept(lease, threading.Event()):
        refused = shell.run("backup", "--config", "backup.yaml", code=11)

    assert f"is held by writer {lease.record.owner}, process {os.getpid()} on " in refused.stderr


@pytest.mark.kafka
def test_damage_is_named_and_ends_with_exit_code_20(shell: Shell) -> None:
    shell.run("backup", "--config", "backup.yaml")
    [data] = (shell.folder / "repository").rglob("*.log.zst")
    stored = bytearray(data.read_bytes())
    stored[20] ^= 1
    data.write_bytes(stored)

    damaged = shell.run("validate", "--config", "backup.yaml", code=20)
    assert f"topic {shell.topic}" in damaged.stdout
    assert data.name in damaged.stdout


def test_mistakes_end_with_one_message_and_their_exit_code(tmp_path: Path) -> None:
    shell = Shell(tmp_path, "127.0.0.1:1", "orders")

    assert "There is no" in shell.run("list", "--config", "backup.yaml", code=10).stderr
    assert "No such file" in shell.run("backup", "--config", "none.yaml", code=2).stderr
    (tmp_path / "typo.yaml").write_text((tmp_path / "backup.yaml").read_text().replace("backup_id", "bakup_id"))
    typo = shell.run("backup", "--config", "typo.yaml", code=2).stderr
    assert "typo.yaml:2: unknown key 'bakup_id'" in typo
    assert "did you mean 'backup_id'?" in typo
    assert "Name the repository" in shell.run("list", code=2).stderr
    assert "Use quick or full" in shell.run("validate", "--config", "backup.yaml", "--level", "sample", code=2).stderr
    error = shell.document("list", "--config", "backup.yaml", code=10)["error"]
    assert ("NotFoundError", 10) == (error["type"], error["exit_code"])


@pytest.mark.parametrize("name", ["lag", "export", "rebuild-index", "keygen"])
def test_a_planned_command_is_refused_as_not_available(tmp_path: Path, name: str) -> None:
    refused = Shell(tmp_path, "127.0.0.1:1", "orders").run(name, "--config", "x.yaml", code=2)

    assert f"kafka-backup: `kafka-backup {name}` is not available yet.\n" == refused.stderr


def test_help_lists_available_commands_only(tmp_path: Path) -> None:
    shown = Shell(tmp_path, "127.0.0.1:1", "orders").run("--help").stdout

    assert all(name in shown for name in ("backup", "list", "describe", "validate-restore", "finalize", "state"))
    assert "lag" not in shown


@pytest.mark.kafka
def test_a_backup_file_with_offset_storage_makes_incremental_backups_and_says_what_is_lost(
    shell: Shell, kafka: KafkaCluster
) -> None:
    path = shell.folder / "backup.yaml"
    path.write_text(path.read_text() + "offset_storage:\n  backend: sqlite\n  db_path: /tmp/offsets.db\n")
    back_up = ("backup", "--config", "backup.yaml")

    first = shell.run(*back_up)
    planned = shell.document(*back_up, "--dry-run")
    produce(kafka.bootstrap, shell.topic, [OutRecord(b"k", b"%d" % number) for number in range(10)])
    delete_records(kafka.bootstrap, shell.topic, 105)
    second = shell.document(*back_up, code=3)
    idle = shell.run(*back_up)

    assert "because the set has no restore point yet" in first.stderr
    assert "the stored offsets are those of the newest restore point" in first.stderr
    assert ("incremental", []) == (planned["plan"]["kind"], planned["plan"]["partitions"])
    assert ("incremental", 5, 105) == (
        second["point"]["point_kind"],
        second["records_read"],
        second["point"]["totals"]["records"],
    )
    assert ["kafka-backup.gap.found"] == [event["event"] for event in second["events"]]
    assert "5 offsets (first: partition 0, 100 to 104) are not in the backup" in second["events"][0]["message"]
    assert "incremental, complete, nothing new" in idle.stdout
    shell.run("validate", "--config", "backup.yaml", "--backup-id", "first-backup-orders")
    kinds = [line.split()[2] for line in shell.run("list", "--config", "backup.yaml").stdout.splitlines()[1:]]
    assert ["snapshot", "incremental", "incremental"] == kinds
