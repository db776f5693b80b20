"""Values in the files: types, variables, and secrets, which no message shows."""

from __future__ import annotations

import subprocess
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path

import pytest

from tasks.config.load import load_backup, load_repository, load_restore
from tasks.model.errors import ConfigError
from tasks.store.local.settings import LocalSettings
from tests.unit.config.test_files import BACKUP, RESTORE

MARKER = "s3cr3t-marker"


def _write(folder: Path, text: str) -> Path:
    path = folder / "file.yaml"
    path.write_bytes(text.encode())
    return path


def _backup_problem(folder: Path, old: str, new: str, environment: Mapping[str, str] | None = None) -> ConfigError:
    assert old in BACKUP
    with pytest.raises(ConfigError) as caught:
        load_backup(_write(folder, BACKUP.replace(old, new, 1)), environment or {})
    return caught.value


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("compression: zstd", "segment_max_records: yes", "should be a whole number, found true; for example 10."),
        (
            "compression: zstd",
            "segment_max_records: '7'",
            "a whole number, found text '7'; write it without quotes: 7.",
        ),
        ("compression: zstd", "segment_max_records: 7.5", "a whole number, found the number 7.5; for example 10."),
        ("compression: zstd", "segment_max_records: .inf", "should be a whole number, found the number inf;"),
        ("snapshot: true", "snapshot: 1", "should be true or false, found the number 1; write it as true, without"),
        ("compression: zstd", "compression: zstdd", "found text 'zstdd'; did you mean 'zstd'?"),
        ("compression: zstd", "compression: ${SECRET:-zstdd}", "found text; did you mean 'zstd'?"),
        ("compression: zstd", "segment_max_records: many", "should be a whole number, found text 'many'; for example"),
        ("[orders]", "{a: 1}", "'source.topics.include': should be a list, found a mapping; for example [a, b]."),
        ("[orders]", "[20260704]", "should be text, found a number; put it in quotes."),
        ("[orders]", "[['x']]", "'source.topics.include[0]': should be text, found a list."),
        ("[orders]", "['']", "'source.topics.include[0]': should not be empty."),
        ("[kafka:9092]", "['kafka:9092,kafka']", "'source.bootstrap_servers[1]': should be one host:port"),
        ("[kafka:9092]", "[]", "'source.bootstrap_servers': should not be empty."),
        ("[kafka:9092]", "','", "'source.bootstrap_servers': should not be empty."),
        ("[kafka:9092]", "9092", "'source.bootstrap_servers[0]': should be text, found a number; put it in"),
        ("compression: zstd", "fetch_max_bytes: 0", "'backup.fetch_max_bytes': should be at least 1."),
        ("compression: zstd", "fetch_max_bytes: -1", "'backup.fetch_max_bytes': should be at least 1."),
        ("  compression: zstd", "  <<: {compression: zstd}", "merge keys ('<<') are not available: write the keys"),
        ("  compression: zstd", "\tcompression: zstd", "a line begins with a tab; indent it with spaces"),
        ("[orders]", "[*]", "not valid YAML: a pattern that begins with * needs quotes: '*'."),
        ("backup:", "---\nbackup:", "a second document begins with '---'; write one document per file"),
        ("[orders]", "['orders.+']", "'orders.+' contains '+', which no topic name does. A regular expression begins"),
        ("[kafka:9092]", "['kafka:99999']", "'source.bootstrap_servers[0]': should be one host:port, with a port"),
        ("[kafka:9092]", "['kafka']", "'source.bootstrap_servers[0]': should be one host:port, for example kafka."),
        ("[kafka:9092]", "['::1:9092']", "should be one host:port, with an IPv6 address in brackets, for example [2"),
        ("backups/production", "a//b", "'a//b' is not a prefix. A prefix names folders inside the store"),
        ("compression: zstd", "labels: {release: 1.2}", "'backup.labels.release': should be text, found a number; put"),
        ("compression: zstd", "labels: {a b: x}", "'backup.labels': \"a b\" cannot be the key of a label. Use letters"),
        ("compression: zstd", "labels: {a: ''}", "'backup.labels': The label a has a value that is not allowed. Use 1"),
        ("compression: zstd", "compression_level: 20", "'backup.compression_level': should be at most 19."),
        ("compression: zstd", "max_concurrent_partitions: 0", "should be at least 1."),
        ("compression: zstd", "x: &a [*a]", "'backup.x[0]' contains itself through an alias."),
        ("compression: zstd", "compression: !vault x", "has a value that cannot be read"),
        ("compression: zstd", "compression: !!binary eA==", "has a value that cannot be read"),
        ("/backups", '"\\ud800"', "'storage.path' has a value that cannot be read"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_and_not_converted(
    tmp_path: Path, old: str, new: str, expected: str
) -> None:
    problem = str(_backup_problem(tmp_path, old, new))
    assert expected in problem


@pytest.mark.parametrize("topics", ["orders", "[orders]", "${TOPIC}", "'orders'"])
def test_a_single_text_is_taken_for_a_list_of_one(tmp_path: Path, topics: str) -> None:
    file = load_backup(_write(tmp_path, BACKUP.replace("[orders]", topics)), {"TOPIC": "orders"}).file
    assert ("orders",) == file.source.topics.include


@pytest.mark.parametrize(
    ("line", "name", "expected"),
    [
        ("source_partitions: 3", "source_partitions", (3,)),
        ("consumer_groups: a,b", "consumer_groups", ("a,b",)),
    ],
)
def test_a_single_partition_or_group_is_taken_for_a_list_of_one(
    tmp_path: Path, line: str, name: str, expected: tuple[object, ...]
) -> None:
    file = load_restore(_write(tmp_path, RESTORE.replace("restore:\n", f"restore:\n  {line}\n")), {}).file
    assert expected == getattr(file.restore, name)


@pytest.mark.parametrize(
    "servers",
    ["a:1,b:2,c:3", '"a:1, b:2 ,c:3,"', "['a:1,b:2', 'c:3']", "[a:1, b:2, c:3]", "${SERVERS}", "['${SERVERS}']"],
)
def test_servers_in_one_text_with_commas_are_taken(tmp_path: Path, servers: str) -> None:
    text = BACKUP.replace("[kafka:9092]", servers)
    file = load_backup(_write(tmp_path, text), {"SERVERS": "a:1,b:2, c:3"}).file
    assert ("a:1", "b:2", "c:3") == file.source.bootstrap_servers


@pytest.mark.parametrize(
    ("given", "used", "note"),
    [
        (1, 1, "'backup.fetch_max_bytes' below 1048576 makes a backup slow. The default is 4194304."),
        (65536, 65536, "'backup.fetch_max_bytes' below 1048576 makes a backup slow. The default is 4194304."),
        (
            104857600,
            67108864,
            "'backup.fetch_max_bytes' is limited to 67108864, because each worker holds a fetch.",
        ),
    ],
)
def test_an_unusual_fetch_size_is_taken_with_a_note(tmp_path: Path, given: int, used: int, note: str) -> None:
    loaded = load_backup(_write(tmp_path, BACKUP.replace("compression: zstd", f"fetch_max_bytes: {given}")), {})
    assert used == loaded.file.backup.fetch_bytes
    assert [f"{tmp_path / 'file.yaml'}:12: {note}"] == list(loaded.notes)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_named_with_its_cure(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "file.yaml"
    path.write_bytes(BACKUP.encode(encoding))
    with pytest.raises(
        ConfigError, match=r"file.yaml: this is UTF-16 text, as Windows writes it\. Save the file as UTF"
    ):
        load_backup(path, {})


def test_text_in_another_encoding_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    path.write_bytes(BACKUP.replace("orders]", "größe]").encode("latin-1"))
    with pytest.raises(ConfigError, match=r"file.yaml: line 6 is not UTF-8 text\. Save the file as UTF-8\."):
        load_backup(path, {})


def test_a_byte_order_mark_of_utf_8_and_line_ends_of_windows_are_accepted(tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + BACKUP.replace("\n", "\r\n").encode())
    assert ("orders",) == load_backup(path, {}).file.source.topics.include


@pytest.mark.parametrize(
    ("old", "new", "line", "key"),
    [
        ("first-backup-orders", "first-backup-orders\\n", 2, "backup_id"),
        ("[kafka:9092]", '["kafka:9092\\r"]', 4, "source.bootstrap_servers[0]"),
        ("[orders]", '["orders\\r\\n"]', 6, "source.topics.include[0]"),
        ("/backups", '"/backups\\r"', 9, "storage.path"),
        ("backups/production", '"backups\\n"', 10, "storage.prefix"),
        ("compression: zstd", "segment_max_records: ${V}", 12, "backup.segment_max_records"),
        ("compression: zstd", "source_cluster_id: |\n    prod", 12, "backup.source_cluster_id"),
        ("compression: zstd", "poll_interval_ms: '${V}'", 12, "backup.poll_interval_ms"),
    ],
)
def test_a_line_break_at_the_end_of_any_value_is_an_error_with_its_line_and_key(
    tmp_path: Path, old: str, new: str, line: int, key: str
) -> None:
    problem = str(_backup_problem(tmp_path, old, new, {"V": "7\n"}))
    assert f":{line}: {key!r} ends with a line break: remove it" in problem
    assert ("see the environment variable V." in problem) == ("V}" in new)


def test_a_secret_with_a_line_break_is_named_without_its_value(tmp_path: Path) -> None:
    security = (
        "  security: {security_protocol: SASL_SSL, sasl_mechanism: PLAIN, sasl_username: u, sasl_password: '${P}'}\n"
    )
    text = BACKUP.replace("  topics:\n", f"{security}  topics:\n")
    with pytest.raises(ConfigError) as caught:
        load_backup(_write(tmp_path, text), {"P": f"{MARKER}\n"})
    sentence = "'source.security.sasl_password' ends with a line break: remove it; see the environment variable P."
    assert f"{tmp_path / 'file.yaml'}:5: {sentence}" == str(caught.value)


def test_the_passwords_of_a_cluster_do_not_matter_to_a_command_that_reads_the_repository(tmp_path: Path) -> None:
    text = BACKUP.replace("[kafka:9092]", '["kafka:9092\\r"]')
    assert "first-backup-orders" == load_repository(_write(tmp_path, text), {}).file.backup_id


@pytest.mark.parametrize("address", ["kafka:9092", "10.0.0.1:1", "[::1]:9092", "[fe80::1%eth0]:9092", "a_b.c-d:65535"])
def test_every_form_of_address_is_accepted(tmp_path: Path, address: str) -> None:
    text = BACKUP.replace("[kafka:9092]", f"['{address}']")
    assert (address,) == load_backup(_write(tmp_path, text), {}).file.source.bootstrap_servers


def test_problems_of_different_kinds_are_reported_together(tmp_path: Path) -> None:
    text = BACKUP.replace("[orders]", '["~("]').replace("zstd", "zip").replace("first-backup-orders", "../etc")
    with pytest.raises(ConfigError) as caught:
        load_backup(_write(tmp_path, text), {})

    lines = [line.split(":")[1] for line in str(caught.value).splitlines()]
    assert ["2", "6", "12"] == lines


def test_a_section_without_keys_has_the_default_values(tmp_path: Path) -> None:
    head = BACKUP.partition("backup:\n")[0]
    assert "zstd" == load_backup(_write(tmp_path, f"{head}backup:\n"), {}).file.backup.compression


def test_a_topic_list_without_a_value_is_refused_and_does_not_mean_all_topics(tmp_path: Path) -> None:
    problem = str(_backup_problem(tmp_path, "include: [orders]", "include:"))
    assert problem.endswith(":6: 'source.topics.include': should be a list, found nothing; for example [a, b].")


@pytest.mark.parametrize("value", ["2026", "0123", "yes", "null", "1e3"])
def test_a_variable_in_a_text_field_is_text_even_if_it_looks_like_a_number(tmp_path: Path, value: str) -> None:
    text = RESTORE.replace("/backups", "'${V}'").replace("{orders: orders_restored}", "\n    orders: ${V}")
    file = load_restore(_write(tmp_path, text), {"V": value}).file

    assert LocalSettings(path=str(tmp_path / value)) == file.storage
    assert {"orders": value} == file.restore.topic_mapping


def test_a_variable_can_disable_a_feature(tmp_path: Path) -> None:
    text = f"{BACKUP}  index_timestamps: ${{SCAN:-false}}\nmetrics: {{enabled: '${{METRICS}}', port: 9}}\n"
    assert () == load_backup(_write(tmp_path, text), {"METRICS": "false"}).notes
    with pytest.raises(ConfigError, match="'metrics' is not available yet"):
        load_backup(_write(tmp_path, text), {"METRICS": "true"})


def test_a_quoted_variable_is_a_number_in_a_number_field(tmp_path: Path) -> None:
    text = BACKUP.partition("backup:\n")[0] + "backup: {max_concurrent_partitions: '${WORKERS}'}\n"
    assert 7 == load_backup(_write(tmp_path, text), {"WORKERS": "7"}).file.backup.max_concurrent_partitions


def test_a_variable_without_the_quotes_that_it_needs_gets_a_hint(tmp_path: Path) -> None:
    problem = str(_backup_problem(tmp_path, "[orders]", "[${TOPIC}]", {"TOPIC": "orders"}))
    assert problem.endswith("but got '{'; within { } and [ ] a variable needs quotes.")


def test_the_default_replaces_an_empty_variable_as_in_a_shell(tmp_path: Path) -> None:
    text = BACKUP.replace("/backups", "${ROOT:-/mnt}")
    file = load_backup(_write(tmp_path, text), {"ROOT": ""}).file
    assert LocalSettings(path="/mnt", prefix="backups/production") == file.storage


@pytest.mark.parametrize("variable", ["${A-b}", "${A:?b}", "${1A}", "${}", "${A", "x${"])
def test_a_malformed_variable_is_refused(tmp_path: Path, variable: str) -> None:
    problem = str(_backup_problem(tmp_path, "/backups", f"'{variable}'", {"A": "x"}))
    assert ":9: 'storage.path': write a variable as ${NAME}" in problem
    assert 1 == len(problem.splitlines())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("compression: zstd", "${M}: 1"),
        ("compression: zstd", "compression_level: ${M}"),
        ("compression: zstd", "internal_topics: ${M}"),
        ("compression: zstd", "compresion: ${M}"),
        ("compression: zstd", "start_offset: ${M}"),
        ("backup:", f"backup: *{MARKER}"),
        ("backup:", f"backup: !{MARKER}!x y"),
        ("backup:", f"? {{password: {MARKER}}}\n: 1\nbackup:"),
        ("backup:", f"? [{MARKER}]\n: 1\nbackup:"),
        ("backup:", f"storage: {{secret_key: {MARKER}}}\nbackup:"),
        ("first-backup-orders", "${M} @"),
        ("first-backup-orders", "set@${M}"),
        ("[orders]", "['~(${M}']"),
        ("[kafka:9092]", "['user:${M}@kafka:9092']"),
        ("[kafka:9092]", f"['sasl://user:{MARKER}@kafka:9092']"),
        ("kafka:9092]", f"kafka:9092]\n  security: {{sasl_password: {MARKER}, password: {MARKER}}}"),
        ("kafka:9092]", f"kafka:9092]\n  password: {MARKER}"),
        ("backend: filesystem", "backend: ${M}\n  bucket: ${M}"),
        ("backend: filesystem", f"backend: s3\n  secret_key: {MARKER}\n  sas_token: [{MARKER}]"),
        ("backups/production", "${M}//x"),
        ("mode: backup", "mode: ${M}"),
        ("source:", "restore: {x: '${M}'}\nsource:"),
    ],
)
def test_a_secret_in_the_wrong_place_is_in_no_message_and_no_traceback(tmp_path: Path, old: str, new: str) -> None:
    error = _backup_problem(tmp_path, old, new, {"M": MARKER})

    assert MARKER not in str(error)
    assert MARKER not in "".join(traceback.format_exception(error))
    assert error.__context__ is None  # a foreign error would hold the text of the file


def test_a_misplaced_key_gets_a_hint_to_its_section(tmp_path: Path) -> None:
    misplaced = str(_backup_problem(tmp_path, "  backend:", "  bakup_id: x\n  backend:"))
    assert misplaced.endswith(":8: unknown key 'bakup_id' in 'storage'; did you mean 'backup_id'?")
    outdented = str(_backup_problem(tmp_path, "  topics:\n    include:", "  include:"))
    assert outdented.endswith(":5: unknown key 'include' in 'source'; did you mean 'source.topics.include'?")


def test_a_file_of_the_other_mode_is_refused_in_one_sentence(tmp_path: Path) -> None:
    path = _write(tmp_path, RESTORE)
    with pytest.raises(ConfigError) as caught:
        load_backup(path, {})
    assert f"{path}:1: 'mode' is 'restore', but this command needs a file with mode 'backup'." == str(caught.value)


def test_a_section_of_the_other_mode_is_refused(tmp_path: Path) -> None:
    problem = str(_backup_problem(tmp_path, "backup:\n", "restore: {dry_run: true}\nbackup:\n"))
    assert problem.endswith(":11: 'restore' is not a key of a file with mode 'backup'.")


def test_a_repository_can_be_read_with_a_file_that_this_version_cannot_restore_from(tmp_path: Path) -> None:
    text = f"{RESTORE}  time_window_start: 1\n  x: ${{UNSET}}\n".replace(
        "target:\n", "target:\n  security: {sasl_password: '${UNSET}'}\n"
    )
    loaded = load_repository(_write(tmp_path, text), {})

    assert LocalSettings(path="/backups") == loaded.file.storage
    assert () == loaded.notes


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("storage: {", "storage: {pth: x, ", "unknown key 'pth' in 'storage'; did you mean 'path'?"),
        ("restore:", "restor:", "unknown key 'restor'"),
        ("prod-backup-20260704", "a@b", "'a@b' is not a point reference"),
        ("path: /backups", "path: '${UNSET}'", "'storage.path': the environment variable UNSET is not set."),
        ("mode: restore", "mode: drlil", "'mode': should be 'backup', 'restore' or 'drill', found text 'drlil'"),
    ],
)
def test_keys_that_name_the_repository_are_always_checked(tmp_path: Path, old: str, new: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_repository(_write(tmp_path, RESTORE.replace(old, new)), {})
    assert expected in str(caught.value)
    assert 1 == len(str(caught.value).splitlines())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# nothing\n", "the file is empty"),
        ("a: 1\nb: \x01\n", ":2: not valid YAML: it contains a control character."),
        ("[" * 5000, "not valid YAML"),
        ("a: 1\n---\nb: 2\n", ":2: not valid YAML"),
    ],
    ids=["empty", "control character", "nesting", "two documents"],
)
def test_a_file_that_is_not_yaml_is_refused_in_one_sentence(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_backup(_write(tmp_path, text), {})
    assert expected in str(caught.value)
    assert 1 == len(str(caught.value).splitlines())


def test_a_byte_order_mark_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + BACKUP.encode())
    assert "first-backup-orders" == load_backup(path, {}).file.backup_id


def test_reading_a_file_imports_no_sdk() -> None:
    sdks = {"kafka", "confluent_kafka", "boto3", "botocore", "prefect"}
    program = f"import sys, tasks.config.load; sys.exit(not {sdks}.isdisjoint(sys.modules))"
    assert 0 == subprocess.run([sys.executable, "-c", program], check=False).returncode
