"""`kafka-backup lifecycle` with real S3 servers. MinIO has rules about versions and deletions, default locks and
permissions; MiniStack has transitions and rules about uploads."""

from __future__ import annotations

import json
import subprocess
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

from tasks.config.check_context import check_context
from tasks.config.models import ClusterSection
from tasks.engine.check import check_store
from tasks.engine.checks.bucket import RULES
from tasks.engine.checks.items import CheckItem
from tasks.engine.checks.jobs import BackupJob
from tasks.engine.options import BackupOptions, TopicSelection
from tasks.store.local.local_store import LocalStore
from tasks.store.s3.s3_store import S3Store
from tests.support.command import COMMAND
from tests.support.made_backup import SET, make_repository
from tests.support.object_stores import ROOT_CREDENTIALS, MinIO, MiniStack, ObjectStoreServer
from tests.support.printed_policy import policy_of_role, printed_policy
from tests.support.s3_credentials import S3Credentials

pytestmark = pytest.mark.minio

DATA = f"team/data/{SET}/"
FOREIGN = {
    "ID": "logs",
    "Status": "Enabled",
    "Filter": {"And": {"Prefix": "logs/", "Tags": [{"Key": "kind", "Value": "debug"}]}},
    "Expiration": {"Days": 3},
}
TIERS = [{"after": "30d", "class": "STANDARD_IA"}, {"after": "90d", "class": "GLACIER"}]


@dataclass
class Bed:
    """A repository in the folder `team` of a bucket, and the file with the policy of a set."""

    server: ObjectStoreServer
    bucket: str
    file: Path

    def write(self, own: S3Credentials = ROOT_CREDENTIALS, **policy: Any) -> None:
        """Write the file with this policy and these credentials."""
        storage = {
            "backend": "s3",
            "bucket": self.bucket,
            "prefix": "team",
            "region": self.server.region,
            "endpoint": self.server.endpoint,
            "path_style": True,
            "allow_http": True,
            **{name: value for name, value in asdict(own).items() if value},
        }
        retention = {"keep_last": 2, **policy}
        self.file.write_text(
            json.dumps({"mode": "backup", "backup_id": SET, "storage": storage, "retention": retention})
        )

    def command(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run `lifecycle` with the file. It must end with `code`."""
        return _command(self.file, *arguments, code=code)

    def document(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        """The document of `lifecycle … --json`."""
        value: dict[str, Any] = json.loads(self.command(*arguments, "--json", code=code).stdout)
        return value

    def rules(self) -> dict[str, dict[str, Any]]:
        """The rules as the server has them, by their ids, read by boto3."""
        found = self.server.client.get_bucket_lifecycle_configuration(Bucket=self.bucket)["Rules"]
        return {rule["ID"]: rule for rule in found}

    def put(self, *rules: dict[str, Any]) -> None:
        """Give the bucket these rules."""
        self.server.client.put_bucket_lifecycle_configuration(
            Bucket=self.bucket, LifecycleConfiguration={"Rules": list(rules)}
        )


def _command(file: Path, *arguments: str, code: int) -> subprocess.CompletedProcess[str]:
    return _run(file, "lifecycle", *arguments, code=code)


def _run(file: Path, *arguments: str, code: int) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [COMMAND, *arguments, "--config", str(file)],
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert code == done.returncode, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def _bed(server: ObjectStoreServer, folder: Path, bucket: str | None = None) -> Bed:
    name = bucket or server.new_bucket()
    make_repository(S3Store(server.settings(name, "team")))
    bed = Bed(server, name, folder / "backup.yaml")
    bed.write()
    return bed


@pytest.fixture
def bed(minio: MinIO, tmp_path: Path) -> Bed:
    return _bed(minio, tmp_path)


@pytest.fixture
def tiered(ministack: MiniStack, tmp_path: Path) -> Bed:
    made = _bed(ministack, tmp_path)
    made.write(tiers=TIERS)
    return made


def _without_sizes(rule: dict[str, Any]) -> dict[str, Any]:
    """MiniStack adds the smallest size 0 to a filter."""
    text = json.dumps(rule).replace(', "ObjectSizeGreaterThan": 0', "")
    value: dict[str, Any] = json.loads(text)
    return value


@pytest.mark.tried("S3", "MiniStack 1.5.33: storage classes, transitions, rules for uploads, archived objects")
def test_transitions_and_the_end_of_uploads_are_written_beside_foreign_rules(tiered: Bed) -> None:
    tiered.put(FOREIGN)
    shown = tiered.command("show").stdout
    assert "2 to add" in shown
    assert "GLACIER after 90 days" in shown
    assert ["logs"] == list(tiered.rules())

    tiered.command("apply", code=2)
    assert ["logs"] == list(tiered.rules())
    tiered.command("apply", "--yes")

    rules = tiered.rules()
    assert FOREIGN == _without_sizes(rules["logs"])
    moves = [{"Days": 30, "StorageClass": "STANDARD_IA"}, {"Days": 90, "StorageClass": "GLACIER"}]
    tiers, uploads = (rules[f"kafka-backup/{SET}/{name}"] for name in ("tiers", "uploads"))
    assert ({"Prefix": DATA}, moves) == (tiers["Filter"], tiers["Transitions"])
    assert {"DaysAfterInitiation": 7} == uploads["AbortIncompleteMultipartUpload"]
    assert all("Expiration" not in rule for rule in (tiers, uploads))


def test_a_second_apply_changes_nothing_and_another_policy_changes_only_its_rule(tiered: Bed) -> None:
    tiered.put(FOREIGN)
    tiered.command("apply", "--yes")
    before = tiered.rules()
    again = tiered.document("apply")
    assert (False, 2) == (again["is_changed"], len(again["unchanged"]))
    assert before == tiered.rules()

    tiered.write(tiers=TIERS[:1])
    [change] = tiered.document("apply", "--yes")["change"]
    assert 1 == len(change["to"]["transitions"])
    tiered.write()
    assert [f"kafka-backup/{SET}/tiers"] == [one["name"] for one in tiered.document("apply", "--yes")["remove"]]
    assert ["logs", f"kafka-backup/{SET}/uploads"] == list(tiered.rules())


def test_a_bucket_whose_last_rule_goes_has_no_configuration_any_more(bed: Bed) -> None:
    bed.put({**FOREIGN, "ID": f"kafka-backup/{SET}/old"})
    bed.command("apply", "--yes", "--without-uploads")

    assert [] == bed.document("show", "--without-uploads")["foreign"]
    with pytest.raises(bed.server.client.exceptions.ClientError, match="NoSuchLifecycleConfiguration"):
        bed.rules()


def test_older_versions_expire_after_the_grace_and_the_minimum_age(bed: Bed) -> None:
    bed.server.client.put_bucket_versioning(Bucket=bed.bucket, VersioningConfiguration={"Status": "Enabled"})
    bed.put(FOREIGN)
    bed.write(grace="36h", minimum_age="7d")
    assert "no rule deletes them" in bed.command("show", "--without-uploads", code=3).stderr

    bed.command("apply", "--yes", "--without-uploads")

    rules = bed.rules()
    assert FOREIGN == rules["logs"]
    versions = rules[f"kafka-backup/{SET}/versions"]
    assert ({"Prefix": DATA}, {"NoncurrentDays": 9}) == (versions["Filter"], versions["NoncurrentVersionExpiration"])
    assert "nothing to change" in bed.command("apply", "--without-uploads").stdout


def test_a_rule_that_deletes_data_and_a_default_lock_are_findings(minio: MinIO, tmp_path: Path) -> None:
    name = f"locked-{minio.new_bucket()}"
    minio.client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    bed = _bed(minio, tmp_path, name)
    bed.put(
        {"ID": "cleanup", "Status": "Enabled", "Filter": {"Prefix": "team/"}, "Expiration": {"Days": 9}},
        {
            "ID": "versions",
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "NoncurrentVersionExpiration": {"NoncurrentDays": 9},
        },
    )
    lock = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}
    minio.client.put_object_lock_configuration(
        Bucket=name, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": lock}
    )

    first, second = bed.document("show", "--without-uploads", code=3)["findings"]

    assert "'cleanup' deletes objects after 9 days under 'team/'" in first
    assert "GOVERNANCE for 1 day" in second
    warnings = [item for item in _checked(bed) if item.name == RULES]
    assert [(first, "missing", False), (second, "missing", False)] == [
        (item.found, item.status, item.is_needed) for item in warnings
    ]


def test_a_rule_that_the_store_refuses_is_one_sentence_and_changes_nothing(bed: Bed) -> None:
    bed.put(FOREIGN)
    refused = bed.command("apply", "--yes", code=1).stderr
    assert 1 == len(refused.splitlines())
    bed.write(tiers=TIERS)
    bed.command("apply", "--yes", "--without-uploads", code=1)
    assert {"logs": FOREIGN} == bed.rules()


def _checked(bed: Bed, own: S3Credentials = ROOT_CREDENTIALS) -> list[CheckItem]:
    """The rows of a check about the store."""
    settings = bed.server.settings(bed.bucket, "team", credentials=own)
    cluster = ClusterSection(bootstrap_servers=["localhost:1"])
    context = check_context(cluster, settings, now_ms=lambda: 0, stop=threading.Event())
    return check_store(context, BackupJob(set_name=SET, topics=TopicSelection(), options=BackupOptions()))


def test_a_check_without_the_rights_to_read_the_rules_has_a_note_and_no_finding(bed: Bed, minio: MinIO) -> None:
    bed.put({**FOREIGN, "Filter": {"Prefix": ""}})
    policy = printed_policy("S3.md", bed.bucket, number=1, without="s3:GetLifecycleConfiguration")
    [note] = [item for item in _checked(bed, minio.temporary_credentials(policy)) if item.name == RULES]
    assert ("unknown", False) == (note.status, note.is_needed)
    assert "The credentials need s3:GetLifecycleConfiguration" in note.found


ACTIONS = (
    *("s3:GetLifecycleConfiguration", "s3:PutLifecycleConfiguration"),
    *("s3:GetBucketVersioning", "s3:GetBucketObjectLockConfiguration"),
)


def test_the_printed_policy_is_enough_and_each_missing_right_is_named(bed: Bed, minio: MinIO) -> None:
    bed.server.client.put_bucket_versioning(Bucket=bed.bucket, VersioningConfiguration={"Status": "Enabled"})
    bed.put(FOREIGN)
    for action in ACTIONS:
        policy = printed_policy("S3.md", bed.bucket, number=1, without=action)
        bed.write(minio.temporary_credentials(policy))
        denied = bed.command("apply", "--yes", "--without-uploads", code=12).stderr
        assert 1 == len(denied.splitlines())
        assert f"The credentials need {action}" in denied
        assert {"logs": FOREIGN} == bed.rules()
    bed.write(minio.temporary_credentials(policy_of_role("lifecycle", bed.bucket)))
    bed.command("apply", "--yes", "--without-uploads")
    assert 2 == len(bed.rules())


def test_a_frozen_repository_refuses_the_change(bed: Bed) -> None:
    bed.put(FOREIGN)
    for command, code in ((("freeze",), 0), (("lifecycle", "apply", "--yes", "--without-uploads"), 3)):
        more = ("--reason", "incident") if command == ("freeze",) else ()
        _run(bed.file, *command, *more, code=code)
    assert {"logs": FOREIGN} == bed.rules()


def test_no_rules_is_not_an_error(bed: Bed) -> None:
    assert "The bucket has no lifecycle rules." in bed.command("show", "--without-uploads").stdout


def test_a_folder_has_no_lifecycle_rules(tmp_path: Path) -> None:
    make_repository(LocalStore(tmp_path / "backups", create=True))
    file = tmp_path / "backup.yaml"
    storage = {"backend": "filesystem", "path": str(tmp_path / "backups")}
    file.write_text(json.dumps({"mode": "backup", "backup_id": SET, "storage": storage, "retention": {"keep_last": 1}}))
    for command in ("show", "apply"):
        assert "has no lifecycle rules: only a bucket has them" in _command(file, command, code=2).stderr
