"""`kafka-backup check` on a real broker with ACLs and on a real object store: each missing right is a row."""

from __future__ import annotations

import json
import re
import socket
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient

from tasks.broker.raw.connection import ConnectionOptions
from tasks.store.s3.s3_store import S3Store
from tests.support.command import Command, security_keys
from tests.support.made_backup import SET, back_up, keys, make_repository
from tests.support.made_logs import plain_log
from tests.support.object_stores import MinIO
from tests.support.positions import commit_positions
from tests.support.printed_policy import printed_policy
from tests.support.producing import OutRecord, create_topic, produce
from tests.support.secured_kafka import SASL_PLAINTEXT, SHORT, Acl, SecuredKafka

pytestmark = pytest.mark.kafka

README = Path(__file__).resolve().parents[2] / "README.md"
CLUSTER = "kafka-cluster"


class Case:
    """A topic with records, a group with a position, and users who are allowed what a test says."""

    def __init__(self, secured: SecuredKafka, folder: Path, topic: str) -> None:
        self.secured = secured
        self.topic, self.target, self.group = topic, f"{topic}-restored", f"group-{topic}"
        self.command = Command(folder=folder)
        bootstrap = secured.cluster.bootstrap
        create_topic(bootstrap, topic)
        produce(bootstrap, topic, [OutRecord(b"key", b"%d" % number) for number in range(10)])
        commit_positions(bootstrap, self.group, topic, {0: 7})

    def check_backup(self, acls: Sequence[Acl], *, code: int = 0, **options: object) -> list[dict[str, Any]]:
        """The rows for a backup by a new user who is allowed exactly this."""
        self.command.write_backup(self.connection(acls), [self.topic], **options)
        return self.rows("backup.yaml", code)

    def check_restore(self, acls: Sequence[Acl], *, code: int = 0, **options: object) -> list[dict[str, Any]]:
        """The rows for a restore by a new user who is allowed exactly this."""
        self.command.write_restore(self.connection(acls), {self.topic: self.target}, **options)
        return self.rows("restore.yaml", code)

    def rows(self, file: str, code: int) -> list[dict[str, Any]]:
        found = json.loads(self.command.run("check", "--config", file, "--json", code=code).stdout)
        items: list[dict[str, Any]] = found["items"]
        return items

    def connection(self, acls: Sequence[Acl], listener: str = SASL_PLAINTEXT) -> ConnectionOptions:
        name = f"user-{uuid.uuid4().hex[:8]}"
        mechanism = "SCRAM-SHA-512" if listener == SHORT else "SCRAM-SHA-256"
        self.secured.add_user(name)
        self.secured.allow(name, acls)
        return self.secured.connection(listener, self.secured.security(listener, mechanism, name))

    def state(self) -> tuple[set[str], set[str], set[Path]]:
        """The topics and groups of the cluster, and every path of the folder but the two files."""
        admin = AdminClient({"bootstrap.servers": self.secured.cluster.bootstrap, "log_level": 0})
        groups = {one.group_id for one in admin.list_consumer_groups().result(30).valid}
        paths = {path for path in self.command.folder.rglob("*") if path.suffix != ".yaml"}
        return set(admin.list_topics(timeout=30).topics), groups, paths


@pytest.fixture
def case(secured: SecuredKafka, tmp_path: Path, topic_name: str) -> Case:
    return Case(secured, tmp_path, topic_name)


def _backup_acls(case: Case) -> list[Acl]:
    return [
        Acl("TOPIC", case.topic, "READ"),
        Acl("TOPIC", case.topic, "DESCRIBE_CONFIGS"),
        Acl("BROKER", CLUSTER, "DESCRIBE"),
        Acl("GROUP", "*", "DESCRIBE"),
    ]


def _restore_acls(case: Case) -> list[Acl]:
    operations = ("CREATE", "WRITE", "READ", "ALTER_CONFIGS")
    topics = [Acl("TOPIC", case.target, operation) for operation in operations]
    return [*topics, Acl("GROUP", case.group, "READ")]


def _without(acls: Sequence[Acl], gone: Acl) -> list[Acl]:
    return [acl for acl in acls if acl != gone]


def _place(acl: Acl, name: str) -> tuple[str, str]:
    """(subject, name) of the row about an ACL."""
    operation = "".join(part.capitalize() for part in acl.operation.split("_"))
    kind = "Cluster" if acl.resource == "BROKER" else acl.resource.capitalize()
    return f"{kind} {name}", operation


def _needed(rows: Sequence[Mapping[str, Any]], status: str) -> list[tuple[str, str]]:
    return [(row["subject"], row["name"]) for row in rows if row["status"] == status and row["is_needed"]]


def test_a_backup_with_the_acls_of_the_readme_is_ok_and_each_missing_one_is_a_row(case: Case) -> None:
    acls = _backup_acls(case)
    before = case.state()

    rows = case.check_backup(acls, consumer_group_snapshot=True)
    assert ([], []) == (_needed(rows, "missing"), _needed(rows, "unknown"))

    for gone in acls:
        rows = case.check_backup(_without(acls, gone), code=12, consumer_group_snapshot=True)
        name = case.group if gone.resource == "GROUP" else gone.name
        found = _needed(rows, "missing")
        others = [place for place in found if place != _place(gone, name)]
        assert _place(gone, name) in found
        assert [] == [one for one in others if gone.resource != "GROUP"], "other tests have groups too"
        assert all(row["advice"] for row in rows if row["status"] == "missing")
    assert before == case.state(), "nothing stays of a check"


def test_a_restore_into_a_new_topic_is_ok_and_each_missing_acl_is_a_row(case: Case) -> None:
    everything = [*_backup_acls(case), Acl("TOPIC", case.target, "CREATE")]
    case.command.write_backup(case.connection(everything), [case.topic], consumer_group_snapshot=True)
    case.command.back_up()
    acls = _restore_acls(case)
    options: dict[str, Any] = {"consumer_group_strategy": "header-based", "reset_consumer_offsets": True}
    before = case.state()

    rows = case.check_restore(acls, **options)
    assert ([], []) == (_needed(rows, "missing"), _needed(rows, "unknown"))

    for gone in acls:
        rows = case.check_restore(_without(acls, gone), code=12, **options)
        assert _place(gone, gone.name) in _needed(rows, "missing"), gone
    assert before == case.state()


def test_a_restore_into_an_existing_topic_names_each_missing_acl(case: Case) -> None:
    case.command.write_backup(case.connection(_backup_acls(case)), [case.topic])
    case.command.back_up()
    create_topic(case.secured.cluster.bootstrap, case.target)
    acls = [Acl("TOPIC", case.target, operation) for operation in ("WRITE", "READ", "ALTER_CONFIGS", "DELETE")]

    assert [] == _needed(case.check_restore(acls, purge_topics=True), "missing")
    for gone in acls:
        rows = case.check_restore(_without(acls, gone), code=12, purge_topics=True)
        assert [_place(gone, gone.name)] == _needed(rows, "missing")


def test_the_lifetime_of_a_session_and_the_end_of_a_certificate_are_told(case: Case) -> None:
    case.command.write_backup(case.connection(_backup_acls(case), SHORT), [case.topic])

    found = {row["name"]: row["found"] for row in case.rows("backup.yaml", 0)}

    assert "every 2 s" in found["SASL session"]
    assert re.match(r"ends at \d{4}-\d\d-\d\dT", found["certificate"])


def test_wrong_credentials_are_the_first_row_and_nothing_else_is_tried_on_the_cluster(case: Case) -> None:
    connection = case.connection(_backup_acls(case))
    wrong = {**security_keys(connection.security), "sasl_password": "wrong"}
    source = {
        "bootstrap_servers": list(connection.bootstrap_servers),
        "security": wrong,
        "topics": {"include": [case.topic]},
    }
    document = {"mode": "backup", "backup_id": "set", "source": source, "storage": _folder(case)}
    (case.command.folder / "backup.yaml").write_text(json.dumps(document))

    rows = case.rows("backup.yaml", 12)

    [listener] = [row for row in rows if row["name"] == "listener"]
    assert "does not accept the credentials" in listener["found"]
    assert [("ACLs and topics", "not checked")] == _needed(rows, "unknown")
    assert "write objects" in {row["name"] for row in rows}, "the store is checked all the same"


def test_a_closed_port_is_named_and_nothing_is_made(case: Case) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    source = {"bootstrap_servers": [f"127.0.0.1:{port}"], "topics": {"include": [case.topic]}}
    document = {"mode": "backup", "backup_id": "set", "source": source, "storage": _folder(case)}
    (case.command.folder / "backup.yaml").write_text(json.dumps(document))

    rows = case.rows("backup.yaml", 1)

    assert [("missing", f"bootstrap server 127.0.0.1:{port}")] == [
        (row["status"], row["subject"]) for row in rows if row["name"] == "listener"
    ]
    assert not (case.command.folder / "repository").exists()


def _folder(case: Case) -> dict[str, object]:
    return {"backend": "filesystem", "path": str(case.command.folder / "repository")}


# ── object stores ───────────────────────────────────────────────────────────────────────────────────────────────────


def _check_on_s3(case: Case, minio: MinIO, bucket: str, policy: Mapping[str, Any], code: int) -> list[dict[str, Any]]:
    own = minio.temporary_credentials(policy)
    storage = {
        "backend": "s3",
        "bucket": bucket,
        "prefix": "team",
        "region": minio.region,
        "endpoint": minio.endpoint,
        "path_style": True,
        "allow_http": True,
        "access_key": own.access_key,
        "secret_key": own.secret_key,
        "session_token": own.session_token,
    }
    connection = case.connection(_backup_acls(case))
    source = {
        "bootstrap_servers": list(connection.bootstrap_servers),
        "security": security_keys(connection.security),
        "topics": {"include": [case.topic]},
    }
    document = {"mode": "backup", "backup_id": SET, "source": source, "storage": storage}
    (case.command.folder / "backup.yaml").write_text(json.dumps(document))
    return case.rows("backup.yaml", code)


@pytest.mark.minio
def test_the_policy_of_the_readme_is_ok_and_nothing_stays_in_the_bucket(case: Case, minio: MinIO) -> None:
    bucket = minio.new_bucket()

    rows = _check_on_s3(case, minio, bucket, printed_policy("S3.md", bucket), 0)

    assert ([], []) == (_needed(rows, "missing"), _needed(rows, "unknown"))
    assert [] == keys(S3Store(minio.settings(bucket)))


@pytest.mark.minio
@pytest.mark.parametrize(
    ("action", "item", "code"),
    [
        ("s3:GetObject", "read objects", 12),
        ("s3:PutObject", "write objects", 12),
        ("s3:ListBucket", "list objects", 12),
        ("s3:DeleteObject", "delete objects", 3),
    ],
)
def test_each_missing_right_on_a_bucket_is_a_row_and_nothing_stays(
    case: Case, minio: MinIO, action: str, item: str, code: int
) -> None:
    bucket = minio.new_bucket()

    rows = _check_on_s3(case, minio, bucket, printed_policy("S3.md", bucket, without=action), code)

    found = [row for row in rows if row["name"] == item]
    assert ["missing"] == [row["status"] for row in found]
    assert action in found[0]["found"]
    assert [] == keys(S3Store(minio.settings(bucket)))


@pytest.mark.minio
def test_a_repository_is_unchanged_by_a_check(case: Case, minio: MinIO) -> None:
    bucket = minio.new_bucket()
    store = S3Store(minio.settings(bucket, "team"))
    back_up(make_repository(store), [plain_log("orders", batches=3)])
    before = [(info.key, info.version) for info in store.list("")]

    rows = _check_on_s3(case, minio, bucket, printed_policy("S3.md", bucket), 2)

    assert [(f"set {SET}", "cluster")] == _needed(rows, "missing"), "the made points are of another cluster"
    assert before == [(info.key, info.version) for info in store.list("")]
