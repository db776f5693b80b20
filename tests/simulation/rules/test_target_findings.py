"""Reasons against the target topics as they are, and as they would be after the restore."""

from __future__ import annotations

import pytest

from tasks.model.errors import AccessError, RefusedError
from tests.simulation.rules.small_world import DAY_MS, SmallWorld, kafka, refused, said

USER = "restorer"
OWN = {"retention.ms": str(30 * DAY_MS), "cleanup.policy": "compact,delete"}


@pytest.fixture
def world() -> SmallWorld:
    """A backed-up topic `orders` with two partitions."""
    made = SmallWorld()
    made.topic(partitions=2, configs=OWN)
    made.back_up()
    return made


# ── topics ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["__consumer_offsets", "__transaction_state", "__share_group_state"])
def test_kafkas_own_topics_are_no_targets(world: SmallWorld, name: str) -> None:
    with refused(RefusedError, f"{name}: Kafka does not let clients write to this internal topic", code=3):
        world.restore({"orders": name})


def test_a_missing_target_is_refused_when_topics_are_not_to_be_created(world: SmallWorld) -> None:
    cure = "Create the topic with 2 partitions or more, or set create_topics to true."
    with refused(RefusedError, f"copy: the topic does not exist and create_topics is false. {cure}", code=3):
        world.restore(create_topics=False)

    world.topic("copy", partitions=2, records=0, cluster=world.target)
    assert [] == world.restore(create_topics=False).mismatches


def test_a_target_with_fewer_partitions_is_refused(world: SmallWorld) -> None:
    world.topic("copy", records=0, cluster=world.target)
    with refused(RefusedError, "copy: it has 1 partition, the restore needs 2", code=3):
        world.restore()


def test_a_target_with_more_partitions_is_warned_of_and_restored(world: SmallWorld) -> None:
    world.topic("copy", partitions=3, records=0, cluster=world.target)

    result = world.restore()

    assert [
        "it has 3 partitions, the backup has 2: "
        "producers can write new records of a key to another partition than its restored records."
    ] == [message for subject, message in said(result.findings, "warning") if subject == "copy"]
    assert world.contents("orders", 1, cluster=world.source) == world.contents("copy", 1)


def test_a_compact_only_topic_is_not_purged(world: SmallWorld) -> None:
    world.topic("copy", partitions=2, cluster=world.target, configs={"cleanup.policy": "compact"})

    with refused(RefusedError, "copy: its cleanup.policy is only compact, and Kafka cannot purge such a topic", code=3):
        world.restore(purge_topics=True)
    assert (0, 10) == world.offsets("copy")


def test_a_replication_factor_that_the_cluster_cannot_hold_is_lowered_and_warned_of(world: SmallWorld) -> None:
    world.target = kafka(world.clock, seed=3, nodes=2)

    result = world.restore(default_replication_factor=3)

    assert ("copy", "replication factor 2 instead of 3, because 2 brokers are alive.") in said(
        result.findings, "warning"
    )
    assert 2 == len(world.target.led(("copy", 0)).replicas)


def test_a_topic_that_cannot_be_created_is_refused_before_anything_is_changed(world: SmallWorld) -> None:
    world.topic("co.py", records=0, cluster=world.target)
    with refused(RefusedError, "co_py: cannot be created: (?!Cannot).*collides with existing topic: co.py", code=3):
        world.restore({"orders": "co_py"})


def test_a_topic_that_the_user_is_not_allowed_to_create_is_an_access_error(world: SmallWorld) -> None:
    world.target = kafka(world.clock, seed=3, has_authorizer=True)
    world.target.permissions.allow_only("somebody", "Topic", "copy", "Create")
    world.target.permissions.allow_only("somebody", "Cluster", "kafka-cluster", "Create")
    world.target.permissions.allow_only(USER, "Topic", "copy", "Describe")

    with refused(AccessError, "nothing was changed: copy: cannot be created: .*Create on Topic copy", code=12):
        world.restore(user=USER)
    assert [] == world.restores()


# ── settings ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _old_source() -> SmallWorld:
    """A topic of Kafka 3.9 with a segment size that Kafka 4 refuses."""
    world = SmallWorld()
    world.source = kafka(world.clock, seed=3, version="3.9.1")
    world.topic(configs={"segment.bytes": "1000", "message.downconversion.enable": "false"})
    world.back_up()
    return world


def test_settings_that_a_new_topic_cannot_have_are_refused_before_anything_is_changed() -> None:
    world = _old_source()
    with refused(RefusedError, "copy: cannot be created: .*segment.bytes", code=3):
        world.restore()
    assert ("copy" in world.target.topics.by_name, []) == (False, world.restores())


def test_settings_that_an_existing_topic_cannot_have_are_refused_before_anything_is_changed() -> None:
    world = _old_source()
    world.topic("copy", records=0, cluster=world.target)

    with refused(RefusedError, "copy: its settings cannot be changed: (?!Cannot).*segment.bytes", code=3):
        world.restore()
    assert {} == world.own_settings("copy")


def test_a_setting_that_is_not_copied_is_noted_with_the_reason() -> None:
    world = _old_source()

    result = world.restore(topic_configs="ignore")
    assert [("copy", "message.downconversion.enable is not copied: Kafka 4 removed it.")] == said(
        result.findings, "note"
    )


def test_with_validate_settings_that_differ_refuse_the_restore(world: SmallWorld) -> None:
    differs = {**OWN, "retention.ms": "1000000"}
    world.topic("copy", partitions=2, records=0, cluster=world.target, configs=differs)

    with refused(RefusedError, r"retention\.ms is 2592000000 in the backup and 1000000 on the topic", code=3):
        world.restore(topic_configs="validate")
    assert differs == world.own_settings("copy")


def test_with_validate_a_setting_that_the_topic_lacks_refuses_the_restore(world: SmallWorld) -> None:
    world.topic("copy", partitions=2, records=0, cluster=world.target)
    with refused(RefusedError, r"cleanup\.policy is compact,delete in the backup and not set on the topic", code=3):
        world.restore(topic_configs="validate")


def test_with_validate_equal_settings_are_restored_into(world: SmallWorld) -> None:
    more = {**OWN, "flush.ms": "5000"}
    world.topic("copy", partitions=2, records=0, cluster=world.target, configs=more)

    assert [] == world.restore(topic_configs="validate").mismatches
    assert more == world.own_settings("copy")


def test_a_broker_value_that_differs_from_the_sources_is_warned_of() -> None:
    world = SmallWorld()
    world.topic()
    world.back_up()
    world.target = kafka(world.clock, seed=3, settings={"retention.ms": str(DAY_MS), "min.insync.replicas": "2"})
    world.topic("any", records=0, cluster=world.target)

    few_replicas = (
        "replication factor 1 is below min.insync.replicas=2 of the target: one lost broker can lose records. "
        "Set default_replication_factor to 2 or more."
    )
    assert [
        ("copy", few_replicas),
        ("copy", "min.insync.replicas was 1 at the source and will be 2."),
        ("copy", f"retention.ms was {7 * DAY_MS} at the source and will be {DAY_MS}."),
    ] == said(world.preview().findings, "warning")


def test_records_of_a_log_append_time_topic_come_back_with_their_append_time_and_a_note_says_so() -> None:
    world = SmallWorld()
    world.topic(configs={"message.timestamp.type": "LogAppendTime"}, records=0)
    world.send(records=5, age_ms=DAY_MS)
    world.back_up()

    result = world.restore()

    note = "records with LogAppendTime are restored as CreateTime with their append time."
    assert [("copy", note)] == said(result.findings, "note")
    assert {world.clock.now_ms()} == {timestamp for timestamp, *_ in world.contents("copy")}


# ── retention ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _old_records() -> SmallWorld:
    """A topic whose records are a day old, and whose retention was shortened to a minute since."""
    world = SmallWorld()
    world.topic(records=0)
    world.send(records=5, age_ms=DAY_MS)
    world.source.topics.by_name["orders"].settings.own = {"retention.ms": "60000"}
    world.back_up()
    return world


def test_settings_that_would_delete_restored_records_are_warned_of_with_the_command_that_applies_them() -> None:
    preview = _old_records().preview()
    message = (
        "retention.ms would delete restored records and will be deferred. "
        "Apply them after the restore with `kafka-backup finalize`."
    )
    assert [("copy", message)] == said(preview.findings, "warning")


def test_where_the_brokers_retention_is_unknown_settings_that_might_delete_wait_and_a_warning_says_so() -> None:
    world = SmallWorld()
    world.topic()
    world.back_up()
    world.target = kafka(world.clock, seed=3, has_authorizer=True)
    world.target.permissions.allow_only("somebody", "Cluster", "kafka-cluster", "DescribeConfigs")
    world.target.permissions.allow_only(USER, "Cluster", "kafka-cluster", "Create")

    result = world.restore(user=USER)

    assert ["copy"] == result.deferred
    [message] = [message for subject, message in said(result.findings, "warning") if subject == "retention"]
    assert "because DescribeConfigs on Cluster kafka-cluster is missing" in message


def test_the_settings_of_any_other_topic_show_the_brokers_retention() -> None:
    """Without DescribeConfigs on the cluster, a topic that has no settings of its own has the brokers' values."""
    world = SmallWorld()
    world.topic()
    world.back_up()
    world.target = kafka(world.clock, seed=3, has_authorizer=True)
    world.target.permissions.allow_only("somebody", "Cluster", "kafka-cluster", "DescribeConfigs")
    world.target.permissions.allow_only(USER, "Cluster", "kafka-cluster", "Create")
    world.topic("any", records=0, cluster=world.target)
    world.topic("closed", records=0, cluster=world.target)
    world.target.permissions.allow_only(USER, "Topic", "closed", "Describe")

    result = world.restore(user=USER)

    assert ([], []) == (result.deferred, [one for one in said(result.findings, "warning") if one[0] == "retention"])


# ── names ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _named(names: dict[str, str], *existing: str) -> list[tuple[str, str]]:
    world = SmallWorld()
    for name in names:
        world.topic(name)
    world.back_up()
    for name in existing:
        world.target.create_topic(name)
    return [
        (subject, message)
        for level in ("warning", "error")
        for subject, message in said(world.preview(names).findings, level)
        if "metrics in Kafka have the same name" in message
    ]


def test_two_new_topics_whose_metrics_would_have_one_name_are_named() -> None:
    found = _named({"x": "a.b", "y": "a_b", "z": "c"})
    assert [("a.b", "its name differs from a_b only"), ("a_b", "its name differs from a.b only")] == [
        (subject, message[: len("its name differs from a.b only")]) for subject, message in found
    ]


def test_a_new_topic_whose_metrics_would_have_the_name_of_an_existing_one_is_named() -> None:
    assert ["c_d"] == [subject for subject, message in _named({"x": "c_d"}, "c.d") if " c.d only" in message]


def test_a_topic_that_exists_already_is_not_warned_of() -> None:
    assert [] == _named({"x": "a.b"}, "a.b")


# ── replicas ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _wanting_two_replicas(*, version: str = "4.3.1", nodes: int = 3) -> SmallWorld:
    world = SmallWorld()
    world.topic()
    world.back_up()
    world.target = kafka(world.clock, seed=3, nodes=nodes, version=version, settings={"min.insync.replicas": "2"})
    world.target.create_topic("any", replicas=2)
    return world


def test_a_replication_factor_below_what_the_brokers_want_in_sync_is_warned_of_with_the_key() -> None:
    world = _wanting_two_replicas()
    [message] = [message for _, message in said(world.preview().findings, "warning") if "factor" in message]
    assert "replication factor 1 is below min.insync.replicas=2" in message
    assert "Set default_replication_factor to 2 or more." in message
    assert [] == [
        one for one in said(world.preview(default_replication_factor=2).findings, "warning") if "factor" in one[1]
    ]


def test_on_a_broker_that_refuses_every_record_of_such_a_topic_it_is_an_error() -> None:
    world = _wanting_two_replicas(version="3.5.2")
    with refused(RefusedError, "copy: replication factor 1 is below min.insync.replicas=2", code=3):
        world.restore()
    assert [] == world.restores()


def test_an_existing_topic_with_too_few_replicas_in_sync_is_an_error() -> None:
    world = _wanting_two_replicas()
    world.target.create_topic("copy", replicas=2)
    world.target.stop_node(world.target.led(("copy", 0)).replicas[1])
    with refused(RefusedError, "copy-0: it has 1 in-sync replicas of 2", code=3):
        world.restore()
