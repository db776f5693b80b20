"""Users with exactly the ACLs that docs/SECURITY.md lists can back up and restore; without one they are told which."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from pathlib import Path

import pytest

from tasks.broker.raw.connection import ConnectionOptions
from tests.support.command import Command, Ran
from tests.support.positions import commit_positions
from tests.support.producing import OutRecord, create_topic, produce
from tests.support.reading import read_all
from tests.support.secured_kafka import SASL_PLAINTEXT, Acl, SecuredKafka

pytestmark = pytest.mark.kafka

CLUSTER = "kafka-cluster"


def _backup_acls(topic: str) -> list[Acl]:
    return [Acl("TOPIC", topic, "READ"), Acl("TOPIC", topic, "DESCRIBE_CONFIGS")]


def _group_acls() -> list[Acl]:
    return [Acl("BROKER", CLUSTER, "DESCRIBE"), Acl("GROUP", "*", "DESCRIBE")]


def _restore_acls(target: str) -> list[Acl]:
    operations = ("CREATE", "WRITE", "READ", "ALTER_CONFIGS")
    return [Acl("TOPIC", target, operation) for operation in operations]


class Case:
    """A topic with records, a group with a position, and users who are allowed what a test says."""

    def __init__(self, secured: SecuredKafka, folder: Path, topic: str) -> None:
        self.secured = secured
        self.topic, self.target, self.group = topic, f"{topic}-restored", f"group-{topic}"
        self.command = Command(folder=folder)
        self.options: dict[str, object] = {}
        bootstrap = secured.cluster.bootstrap
        create_topic(bootstrap, topic)
        produce(bootstrap, topic, [OutRecord(b"key", b"%d" % number) for number in range(100)])
        commit_positions(bootstrap, self.group, topic, {0: 70})

    def back_up(self, acls: Sequence[Acl], *, code: int = 0, topics: Sequence[str] = (), **options: object) -> Ran:
        """`kafka-backup backup` as a new user who is allowed exactly this."""
        self.command.write_backup(self.connection(acls), list(topics) or [self.topic], **options)
        return self.command.back_up(code=code)

    def restore(self, acls: Sequence[Acl], *, code: int = 0) -> Ran:
        """`kafka-backup restore` as a new user who is allowed exactly this."""
        self.command.write_restore(self.connection(acls), {self.topic: self.target}, **self.options)
        return self.command.restore(code=code)

    def points(self) -> int:
        """How many restore points there are."""
        if not (self.command.folder / "repository" / "repository.json").exists():
            return 0
        sets = json.loads(self.command.run("list", "--config", "backup.yaml", "--json").stdout)["sets"]
        return len(sets["set"]["points"]) if "set" in sets else 0

    def connection(self, acls: Sequence[Acl]) -> ConnectionOptions:
        name = f"user-{uuid.uuid4().hex[:8]}"
        self.secured.add_user(name)
        self.secured.allow(name, acls)
        return self.secured.connection(SASL_PLAINTEXT, self.secured.security(SASL_PLAINTEXT, "SCRAM-SHA-256", name))


@pytest.fixture
def case(secured: SecuredKafka, tmp_path: Path, topic_name: str) -> Case:
    return Case(secured, tmp_path, topic_name)


def _without(acls: Sequence[Acl], gone: Acl) -> list[Acl]:
    return [acl for acl in acls if acl != gone]


def _words(acl: Acl) -> str:
    """As our messages name it: `AlterConfigs on Topic orders`."""
    operation = "".join(part.capitalize() for part in acl.operation.split("_"))
    return f"{operation} on {'Cluster' if acl.resource == 'BROKER' else acl.resource.capitalize()} {acl.name}"


def test_a_backup_needs_two_permissions_per_topic(case: Case) -> None:
    acls = _backup_acls(case.topic)
    case.back_up(acls)

    for gone in acls:
        assert _words(gone) in case.back_up(_without(acls, gone), code=12).text
    assert 1 == case.points()


def test_a_topic_that_is_seen_and_may_not_be_read_is_named_and_the_others_are_kept(case: Case) -> None:
    other = f"{case.topic}-other"
    create_topic(case.secured.cluster.bootstrap, other)
    produce(case.secured.cluster.bootstrap, other, [OutRecord(b"key", b"value")])
    seen = [Acl("TOPIC", other, "DESCRIBE"), Acl("TOPIC", other, "DESCRIBE_CONFIGS")]

    alone = case.back_up(seen, code=12, topics=[other])
    assert f"Read on Topic {other}" in alone.text
    assert 0 == case.points()

    both = case.back_up([*_backup_acls(case.topic), *seen], code=12, topics=[case.topic, other])
    assert f"failure: {other}-0: " in both.stdout
    assert f"Read on Topic {other}" in both.stdout
    assert "partial" in both.stdout
    assert 1 == case.points()
    restored = case.restore(_restore_acls(case.target))
    assert "verified" in restored.stdout


def test_a_topic_that_may_not_be_seen_any_more_is_named_and_the_point_keeps_what_it_had_of_it(case: Case) -> None:
    other = f"{case.topic}-other"
    create_topic(case.secured.cluster.bootstrap, other)
    produce(case.secured.cluster.bootstrap, other, [OutRecord(b"key", b"value")])
    pattern = [f"{case.topic}*"]
    case.back_up([*_backup_acls(case.topic), *_backup_acls(other)], topics=pattern)

    told = case.back_up(_backup_acls(case.topic), code=12, topics=pattern)

    assert f"failure: {other}-0: Not allowed to back up {other}" in told.stdout
    assert "partial" in told.stdout
    assert 2 == case.points()
    assert f"Topic {other}" in case.command.run("backup", "--config", "backup.yaml", "--dry-run", code=12).stdout
    mapping = {case.topic: case.target, other: f"{other}-restored"}
    everything = case.connection([*_restore_acls(case.target), *_restore_acls(f"{other}-restored")])
    case.command.write_restore(everything, mapping)
    restored = case.command.restore(code=3)
    assert f"warning: {other}-0: the point contains only a part of it, because it failed" in restored.stderr
    assert 1 == len(read_all(case.secured.cluster.bootstrap, f"{other}-restored"))


def test_positions_of_groups_need_two_permissions_more(case: Case) -> None:
    acls = [*_backup_acls(case.topic), *_group_acls()]
    case.back_up(acls, consumer_group_snapshot=True)

    for gone, named in zip(_group_acls(), ("Cluster kafka-cluster", f"Group {case.group}"), strict=True):
        told = case.back_up(_without(acls, gone), code=12, consumer_group_snapshot=True)
        assert f"Describe on {named}" in told.stdout
        assert "100 records" in told.stdout, "the data is kept all the same"
        planned = case.command.run("backup", "--config", "backup.yaml", "--dry-run", code=12)
        assert f"Describe on {named}" in planned.stdout


def test_a_restore_needs_four_permissions_per_topic(case: Case) -> None:
    case.back_up(_backup_acls(case.topic))

    for number in range(len(_restore_acls(""))):
        case.target = f"{case.topic}-{number}"
        acls = _restore_acls(case.target)
        told = case.restore(_without(acls, acls[number]), code=12)
        assert _words(acls[number]) in told.stderr
        assert "restore into" in told.stderr or "create topic" in told.stderr
        assert "verified" in case.restore(acls).stdout, "what was done before it was told does not stand in the way"
        assert 100 == len(read_all(case.secured.cluster.bootstrap, case.target))


def test_an_existing_topic_is_looked_at_before_anything_is_changed(case: Case) -> None:
    bootstrap = case.secured.cluster.bootstrap
    case.back_up(_backup_acls(case.topic))
    create_topic(bootstrap, case.target)
    produce(bootstrap, case.target, [OutRecord(b"old", b"old")])
    case.options = {"purge_topics": True}
    existing = [Acl("TOPIC", case.target, operation) for operation in ("WRITE", "READ", "ALTER_CONFIGS", "DELETE")]

    for gone in existing:
        told = case.restore(_without(existing, gone), code=12)
        assert _words(gone) in told.stderr
    assert [b"old"] == [record.key for record in read_all(bootstrap, case.target)]

    case.restore(existing)
    assert 100 == len(read_all(bootstrap, case.target))


def test_writing_positions_needs_one_permission_per_group(case: Case) -> None:
    case.back_up([*_backup_acls(case.topic), *_group_acls()], consumer_group_snapshot=True)
    acls = _restore_acls(case.target)
    case.options = {"consumer_group_strategy": "header-based", "reset_consumer_offsets": True}

    told = case.restore(acls, code=12)
    assert f"Read on Group {case.group}" in told.stderr
    assert "nothing was changed" in told.stderr
    looked = case.command.run("validate-restore", "--config", "restore.yaml", code=12)
    assert f"Read on Group {case.group}" in looked.stderr

    sees_brokers = Acl("BROKER", CLUSTER, "DESCRIBE_CONFIGS")
    written = case.restore([*acls, Acl("GROUP", case.group, "READ"), sees_brokers])
    assert ["70", "written"] == written.stdout.split()[-2:]


def test_if_the_brokers_retention_cannot_be_read_settings_that_can_delete_records_are_deferred(case: Case) -> None:
    case.back_up(_backup_acls(case.topic))

    waiting = case.restore(_restore_acls(case.target))
    assert f"to finalize: {case.target} keep a longer retention" in waiting.stdout
    assert "DescribeConfigs on Cluster kafka-cluster" in waiting.stderr

    case.target = f"{case.topic}-seen"
    assert (
        "to finalize"
        not in case.restore([*_restore_acls(case.target), Acl("BROKER", CLUSTER, "DESCRIBE_CONFIGS")]).text
    )


def test_reading_a_backup_needs_no_cluster(case: Case) -> None:
    case.back_up(_backup_acls(case.topic))
    case.back_up([], code=12)

    assert "no damage" in case.command.run("validate", "--config", "backup.yaml").stdout
