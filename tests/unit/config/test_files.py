"""backup.yaml and restore.yaml: which keys are accepted, noted and refused, and the messages."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.config.adapters import connection_options
from tasks.config.load import load_backup, load_repository, load_restore
from tasks.model.errors import ConfigError
from tasks.store.local.settings import LocalSettings
from tasks.store.registry import BACKENDS, one_of

BACKEND_NAMES = one_of(map(repr, BACKENDS))

BACKUP = """\
mode: backup
backup_id: "first-backup-orders"
source:
  bootstrap_servers: [kafka:9092]
  topics:
    include: [orders]
storage:
  backend: filesystem
  path: /backups
  prefix: backups/production
backup:
  compression: zstd
  stop_at_current_offsets: true
  consumer_group_snapshot: true
"""

RESTORE = """\
mode: restore
backup_id: "prod-backup-20260704"
target:
  bootstrap_servers: [dr-broker-1:9092]
storage: {backend: filesystem, path: /backups}
restore:
  topic_mapping: {orders: orders_restored}
  consumer_group_strategy: header-based
"""


def _file(folder: Path, text: str) -> Path:
    path = folder / "file.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def _problem(folder: Path, text: str, environment: dict[str, str] | None = None) -> str:
    load = load_restore if "mode: restore" in text else load_backup
    with pytest.raises(ConfigError) as caught:
        load(_file(folder, text), environment or {})
    return str(caught.value).replace(str(folder / "file.yaml"), "file.yaml")


def _with(text: str, section: str, line: str) -> str:
    """The file with one more line in a section."""
    if f"{section}:" not in text:
        return f"{text}{section}:\n  {line}\n"
    return text.replace(f"\n{section}:\n", f"\n{section}:\n  {line}\n") if section else f"{line}\n{text}"


def test_the_backup_file_of_the_guide_is_accepted_unchanged(tmp_path: Path) -> None:
    loaded = load_backup(_file(tmp_path, BACKUP), {})

    assert "first-backup-orders" == loaded.file.backup_id
    assert ("kafka:9092",) == loaded.file.source.bootstrap_servers
    assert ("orders",) == loaded.file.source.topics.include
    assert "backups/production" == loaded.file.storage.prefix
    assert loaded.file.backup.consumer_group_snapshot
    assert () == loaded.notes


def test_the_restore_file_of_the_guide_is_accepted(tmp_path: Path) -> None:
    loaded = load_restore(_file(tmp_path, RESTORE), {})

    assert {"orders": "orders_restored"} == loaded.file.restore.topic_mapping
    assert "header-based" == loaded.file.restore.consumer_group_strategy


def test_the_repository_can_be_read_from_either_file(tmp_path: Path) -> None:
    for text, name in ((BACKUP, "first-backup-orders"), (RESTORE, "prod-backup-20260704")):
        assert name == load_repository(_file(tmp_path, text), {}).file.backup_id


@pytest.mark.parametrize(
    ("section", "line"),
    [
        ("backup", "compression_level: 5"),
        ("backup", "index_timestamps: true"),
        ("restore", "time_window_start: 1783159200000\n  time_window_end: 2026-07-04T15:00:00+01:00"),
        ("restore", "until_offset: {orders: {0: 1200}, payments/1: 900}"),
        ("restore", "until: mark:before-migration"),
        (
            "restore",
            "select: [{key: {prefix: [a, b]}, topics: orders}, {key: [a, b], header: {name: tenant, value: x}}]",
        ),
        ("restore", "exclude: [{name: bad deploy, producer_id: 4711, offsets: [7, 10-19, 100-]}]"),
        ("backup", "segment_max_bytes: 1048576"),
        ("backup", "segment_max_records: 1000"),
        ("backup", "fetch_max_bytes: 2097152"),
        ("backup", "start_offset: earliest"),
        ("backup", "max_concurrent_partitions: 8"),
        ("backup", "include_internal_topics: true"),
        ("backup", "include_internal_topics: true\n  internal_topics: [__consumer_offsets]"),
        ("backup", "source_cluster_id: prod"),
        ("backup", "continuous: false"),
        ("backup", "continuous: true\n  segment_max_interval_ms: 5000"),
        ("backup", "continuous: true\n  checkpoint_interval_secs: 5"),
        ("restore", "source_partitions: [0, 2]"),
        ("restore", "dry_run: true"),
        ("restore", "produce_acks: all"),
        ("restore", "produce_acks: -1"),
        ("restore", "produce_timeout_ms: 60000"),
        ("restore", "consumer_groups: [billing]"),
        ("restore", "reset_consumer_offsets: true"),
        ("restore", "create_topics: false"),
        ("restore", "default_replication_factor: 2"),
        ("restore", "topic_configs: validate"),
        ("restore", "purge_topics: true"),
        ("restore", "finalize: apply"),
        ("restore", "verify: counts"),
        ("restore", "max_concurrent_partitions: 2"),
        ("restore", "repartitioning: null"),
        ("metrics", "enabled: false"),
    ],
)
def test_a_key_with_a_meaning_is_accepted_without_a_note(tmp_path: Path, section: str, line: str) -> None:
    text, load = (RESTORE, load_restore) if section == "restore" else (BACKUP, load_backup)

    assert () == load(_file(tmp_path, _with(text, section, line)), {}).notes


@pytest.mark.parametrize(
    ("section", "line"),
    [
        ("backup", "include_offset_headers: true"),
        ("backup", "sync_interval_secs: 5"),
        ("backup", "poll_interval_ms: 5"),
        ("backup", "segment_max_interval_ms: 5000"),
        ("backup", "checkpoint_interval_secs: 5"),
        ("restore", "produce_batch_size: 5"),
        ("restore", "checkpoint_state: /tmp/x"),
        ("restore", "checkpoint_interval_secs: 5"),
    ],
)
def test_a_key_without_a_meaning_here_gets_a_note_that_says_what_replaces_it(
    tmp_path: Path, section: str, line: str
) -> None:
    text, load = (RESTORE, load_restore) if section == "restore" else (BACKUP, load_backup)

    [note] = load(_file(tmp_path, _with(text, section, line)), {}).notes
    assert f"'{section}.{line.split(':')[0]}' has no meaning here: " in note


def test_a_connection_has_a_connect_timeout_and_every_other_key_gets_a_note(tmp_path: Path) -> None:
    line = "connection: {timeout_ms: 5, connect_timeout_ms: 7000}"
    loaded = load_backup(_file(tmp_path, _with(BACKUP, "source", line)), {})

    assert 7_000 == loaded.file.source.connection.connect_timeout_ms
    assert 7_000 == connection_options(loaded.file.source).connect_timeout_ms
    [note] = loaded.notes
    assert "'source.connection.timeout_ms' has no meaning here: " in note


def test_stop_at_current_offsets_false_gets_a_note_because_every_backup_is_a_snapshot(tmp_path: Path) -> None:
    text = BACKUP.replace("current_offsets: true", "current_offsets: false")

    [note] = load_backup(_file(tmp_path, text), {}).notes
    assert "always stops at the current offsets" in note


@pytest.mark.parametrize(
    ("lines", "cycle_ms"),
    [
        ("", 30_000),
        ("\n  checkpoint_interval_secs: 5", 5_000),
        ("\n  checkpoint_interval_secs: 5\n  segment_max_interval_ms: 7000", 7_000),
    ],
)
def test_the_time_of_a_cycle_is_the_segment_interval_else_the_checkpoint_interval_else_thirty_seconds(
    tmp_path: Path, lines: str, cycle_ms: int
) -> None:
    text = _with(BACKUP, "backup", f"continuous: true{lines}")

    assert cycle_ms == load_backup(_file(tmp_path, text), {}).file.backup.cycle_ms


@pytest.mark.parametrize(
    ("section", "line"),
    [
        ("metrics", "enabled: true"),
        ("encryption", "recipients: [age1x]"),
        ("schema_registry", "url: http://x"),
        ("restore", "repartitioning: {orders: 6}"),
        ("restore", "include_original_offset_header: true"),
        ("restore", "auto_consumer_groups: true"),
        ("restore", "offset_report: report.json"),
    ],
)
def test_a_key_of_a_planned_feature_is_refused_in_one_sentence(tmp_path: Path, section: str, line: str) -> None:
    problem = _problem(tmp_path, _with(RESTORE if section == "restore" else BACKUP, section, line))

    assert 1 == len(problem.splitlines())
    assert " is not available yet: " in problem
    assert "hunter2" not in problem


def test_keys_of_s3_that_contradict_each_other_are_refused_and_no_secret_is_shown(tmp_path: Path) -> None:
    for keys, expected in (
        ("secret_key: hunter2", "access_key and secret_key belong together: set both, or neither for ambient"),
        (
            "endpoint: 'http://127.0.0.1:9000'",
            "uses http, so every record would be sent unencrypted: use https, or set allow_http",
        ),
        ("endpoint: 'https://user:hunter2@host'", "The endpoint should be a URL without user and password"),
    ):
        storage = f"storage: {{backend: s3, bucket: b, {keys}}}"
        problem = _problem(tmp_path, RESTORE.replace("storage: {backend: filesystem, path: /backups}", storage))
        assert expected in problem
        assert "hunter2" not in problem


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("backup_id:", "bakup_id:", "file.yaml:2: unknown key 'bakup_id'; did you mean 'backup_id'?"),
        ("  compression:", "  compresion:", "file.yaml:12: unknown key 'compresion' in 'backup'; did you mean"),
        ("zstd", "zip", "file.yaml:12: 'backup.compression': should be 'zstd', 'lz4' or 'none', found text 'zip'."),
        ("[kafka:9092]", "[]", "file.yaml:4: 'source.bootstrap_servers': "),
        ("[orders]", '["~("]', "file.yaml:6: '~(' is not a regular expression"),
        ("first-backup-orders", "../etc", "file.yaml:2: '../etc' is not a name for a backup set"),
        ("first-backup-orders", "orders@3", "file.yaml:2: a backup makes a new point of set 'orders'"),
        ("mode: backup", "mode: copy", "file.yaml:1: 'mode': should be 'backup', found text 'copy'."),
        ("  path: /backups\n", "", "file.yaml:7: 'storage.path' is missing: backend 'filesystem' needs it."),
        ("/backups\n", "/${NOWHERE}\n", "file.yaml:9: 'storage.path': the environment variable NOWHERE is not set."),
        ("  prefix:", "  path: /x\n  prefix:", "file.yaml:10: duplicate key 'storage.path' (first on line 9)."),
        ("  prefix:", "  bucket: b\n  prefix:", "file.yaml:10: 'bucket' is not a key of backend 'filesystem'."),
        ("zstd", "[zstd]", "file.yaml:12: 'backup.compression': should be 'zstd', 'lz4' or 'none', found a list."),
        ('backup_id: "first-backup-orders"\n', "", "file.yaml:1: 'backup_id' is missing."),
        ("source:", "source: [", "file.yaml:5: not valid YAML: "),
    ],
)
def test_a_problem_is_reported_with_file_line_and_key(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert expected in _problem(tmp_path, BACKUP.replace(old, new, 1))


def test_all_problems_of_a_file_are_reported_at_once(tmp_path: Path) -> None:
    text = BACKUP.replace("zstd", "zip").replace("backup_id", "bakup_id").replace("/backups", "${NOWHERE}")

    assert 4 == len(_problem(tmp_path, text).splitlines())


@pytest.mark.parametrize("acks", ["1", "0", "leader"])
def test_produce_acks_that_could_lose_a_record_are_refused(tmp_path: Path, acks: str) -> None:
    assert "only 'all' (or -1) is safe" in _problem(tmp_path, _with(RESTORE, "restore", f"produce_acks: {acks}"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", "a configuration is a mapping"), ("- 1\n", "a configuration is a mapping"), ("a: [", "not valid YAML")],
)
def test_a_file_that_is_not_a_mapping_is_refused_in_one_sentence(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in _problem(tmp_path, text)


def test_a_missing_file_and_a_binary_file_are_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load_backup(tmp_path / "none.yaml", {})
    (tmp_path / "binary.yaml").write_bytes(b"\x89PNG\xff")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_backup(tmp_path / "binary.yaml", {})


def test_variables_are_replaced_inside_values_and_the_result_has_its_yaml_type(tmp_path: Path) -> None:
    text = BACKUP.replace("/backups", "/${ROOT}/${DIR:-daily}$$-$${x}").replace(
        "  consumer_group_snapshot: true",
        "  consumer_group_snapshot: ${GROUPS}\n  max_concurrent_partitions: ${WORKERS}",
    )
    file = load_backup(_file(tmp_path, text), {"ROOT": "mnt", "GROUPS": "false", "WORKERS": "7"}).file

    assert LocalSettings(path="/mnt/daily$$-${x}", prefix="backups/production") == file.storage
    assert not file.backup.consumer_group_snapshot
    assert 7 == file.backup.max_concurrent_partitions


def test_the_value_of_a_variable_cannot_become_yaml_structure(tmp_path: Path) -> None:
    text = BACKUP.replace("/backups", '"${INJECTED}"')
    injected = '/x", prefix: "y", compression: none}'

    file = load_backup(_file(tmp_path, text), {"INJECTED": injected}).file
    assert LocalSettings(path=str(tmp_path / injected), prefix="backups/production") == file.storage
    assert "zstd" == file.backup.compression


@pytest.mark.parametrize(
    "line",
    ["max_concurrent_partitions: ${MARKER}", "compression: ${MARKER}", "consumer_group_snapshot: ${MARKER}"],
)
def test_no_message_shows_the_value_of_a_variable(tmp_path: Path, line: str) -> None:
    text = BACKUP.replace("  compression: zstd\n", "").replace("  consumer_group_snapshot: true\n", "")
    problem = _problem(tmp_path, _with(text, "backup", line), {"MARKER": "s3cr3t-marker"})

    assert "s3cr3t-marker" not in problem


@pytest.mark.parametrize(
    ("storage", "expected"),
    [
        ("{path: /b}", "'storage.backend' is missing."),
        ("{backend: s4}", f"'storage.backend': should be {BACKEND_NAMES}, found text."),
        ("{backend: 7}", f"'storage.backend': should be {BACKEND_NAMES}, found a number."),
        ("{backend: null}", f"'storage.backend': should be {BACKEND_NAMES}, found nothing."),
        ("/backups", "'storage': should be a mapping, found text."),
        ("{backend: s3}", "'storage.bucket' is missing: backend 's3' needs it."),
        ("{backend: s3, bucket: ''}", "'storage.bucket': should not be empty."),
        (
            "{backend: s3, bucket: b, path_style: 1}",
            "'storage.path_style': should be true or false, found a number; write it as true, without quotes.",
        ),
        ("{backend: s3, bucket: b, bukket: b}", "unknown key 'bukket' in 'storage'; did you mean 'bucket'?"),
        ("{backend: s3, bucket: b, sas_token: x}", "'sas_token' is not a key of backend 's3'."),
    ],
)
def test_a_problem_of_the_storage_section_is_one_line(tmp_path: Path, storage: str, expected: str) -> None:
    problem = _problem(tmp_path, RESTORE.replace("{backend: filesystem, path: /backups}", storage))

    assert f"file.yaml:5: {expected}" == problem


def test_all_problems_of_a_storage_section_are_reported_together(tmp_path: Path) -> None:
    storage = "{backend: s3, region: 5, path_style: 1, prefix: a//b, path: /b, sekret_key: x}"
    problem = _problem(tmp_path, RESTORE.replace("{backend: filesystem, path: /backups}", storage))

    assert 6 == len(problem.splitlines())
