"""The preflight names every reason against a restore, and nothing is changed while there is one."""

from __future__ import annotations

import pytest

from tasks.engine.restore_steps import preview_restore
from tasks.engine.target import preflight
from tasks.model.errors import AccessError, InterruptedRunError, RefusedError
from tests.simulation.kafka.groups import POSITIONS_TOPIC
from tests.simulation.kafka.refusals import UNKNOWN_SERVER_ERROR
from tests.simulation.rules.small_world import MAPPING, WITH_POSITIONS, SmallWorld, kafka, refused, said

USER = "restorer"


@pytest.fixture
def world() -> SmallWorld:
    """A backed-up topic `orders` with ten records, and a group at offset 7."""
    made = SmallWorld()
    made.topic()
    made.commit("billing", {("orders", 0): 7})
    made.back_up()
    return made


# ── what the target holds ───────────────────────────────────────────────────────────────────────────────────────────


def test_a_target_that_holds_records_is_refused_and_left_alone(world: SmallWorld) -> None:
    world.topic("copy", records=3, cluster=world.target, configs={"retention.ms": "5"})

    with refused(RefusedError, r"nothing was changed: copy-0: it is not empty \(3 offsets\)\. .* purge_topics", code=3):
        world.restore()

    assert ((0, 3), {"retention.ms": "5"}) == (world.offsets("copy"), world.own_settings("copy"))
    assert [] == world.restores()


def test_the_source_itself_is_no_target_without_a_mapping(world: SmallWorld) -> None:
    world.target = world.source
    with refused(RefusedError, "orders-0: it is not empty", code=3):
        world.restore({"orders": "orders"})


def test_a_topic_whose_records_were_deleted_counts_as_empty(world: SmallWorld) -> None:
    world.topic("copy", records=3, cluster=world.target)
    world.target.log(("copy", 0)).move_start(3)

    assert [] == world.restore().mismatches
    assert (3, 13) == world.offsets("copy")


def test_purge_topics_allows_a_target_with_records(world: SmallWorld) -> None:
    world.topic("copy", records=3, cluster=world.target)
    assert [] == said(world.preview(purge_topics=True).findings, "error")


def test_a_purge_is_named_with_what_it_deletes_and_whether_it_is_the_original(world: SmallWorld) -> None:
    world.topic("copy", records=3, cluster=world.target)
    deleted = "copy: purge_topics deletes all records of the restored partitions (3 offsets)."
    assert [deleted] == [
        f"{one.subject}: {one.message}" for one in world.preview(purge_topics=True).findings if "purge" in one.message
    ]


def test_partitions_that_are_not_restored_must_be_empty_even_when_the_others_are_purged(world: SmallWorld) -> None:
    world.topic("copy", partitions=2, cluster=world.target)

    with refused(RefusedError, r"copy-1: it is not empty \(10 offsets\), and purge_topics does not", code=3):
        world.restore(purge_topics=True)
    assert [(0, 10), (0, 10)] == [world.offsets("copy", partition) for partition in range(2)]


def test_a_target_partition_without_a_leader_is_an_error(world: SmallWorld) -> None:
    world.topic("copy", records=0, cluster=world.target)
    world.target.elect(("copy", 0), None)

    [(subject, message)] = said(world.preview().findings, "error")
    assert ("copy-0", True) == (subject, "leader" in message)


def test_a_preflight_that_waits_for_a_leader_ends_on_stop(world: SmallWorld) -> None:
    world.topic("copy", records=0, cluster=world.target)
    world.target.elect(("copy", 0), None)
    context = world.context(world.target)
    world.target_faults.before("reader.list_offsets", context.stop.set)

    with context.admin() as admin, refused(InterruptedRunError, "Stopped", code=130):
        preview_restore(context, admin, world.point(), world.restore_request())


# ── what the point lacks ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_partition_whose_only_backup_failed_is_named_as_lacking() -> None:
    world = SmallWorld()
    world.topic(partitions=2)
    world.source.log(("orders", 1)).flip_byte(0)
    world.back_up()

    result = world.restore()
    alone = world.restore({"orders": "alone"}, source_partitions=(0,))

    [lack] = [finding for finding in result.findings if finding.is_missing_data]
    assert ("warning", "orders-1", True) == (lack.level, lack.subject, "CRC" in lack.message)
    assert (True, False) == (result.is_partial, alone.is_partial)


def test_a_partition_that_kept_an_earlier_row_is_named_as_lacking(world: SmallWorld) -> None:
    world.topic("other")
    world.send(records=5)
    world.source.log(("orders", 0)).flip_byte(10)
    world.back_up()

    result = world.restore()

    [lack] = [finding for finding in result.findings if finding.is_missing_data]
    assert lack.message.startswith("the point contains only a part of it, because it failed: ")
    assert ([], True, 10) == (result.mismatches, result.is_partial, len(world.contents("copy")))


def test_a_gap_of_the_point_is_named_with_its_offsets(world: SmallWorld) -> None:
    world.send(records=10)
    world.faults.before("fetcher.receive", lambda: world.source.log(("orders", 0)).move_start(17), skip=2)
    point = world.back_up()

    [gap] = point.entry.gaps
    assert [("orders-0", f"offsets {gap.first} to 16 are not in the point: {gap.reason}.")] == [
        (finding.subject, finding.message) for finding in world.restore().findings if finding.is_missing_data
    ]


# ── what the repository holds ───────────────────────────────────────────────────────────────────────────────────────


def _data_key(world: SmallWorld) -> str:
    [key] = [info.key for info in world.store.list("data/")]
    return key


def test_a_missing_object_is_named_and_refuses_the_restore(world: SmallWorld) -> None:
    key = _data_key(world)
    world.store.delete([key])

    with refused(
        RefusedError, rf"{key}: the object is missing \(topic orders, partition 0\)\. `kafka-backup validate", code=3
    ):
        world.restore()
    assert "copy" not in world.target.topics.by_name


def test_a_shortened_object_is_named_with_both_sizes(world: SmallWorld) -> None:
    key = _data_key(world)
    data, _ = world.store.get(key)
    world.store.put(key, [data[:-1]])

    with refused(RefusedError, f"{key}: the object has {len(data) - 1} bytes instead of {len(data)}", code=3):
        world.restore()


def test_a_batch_that_no_broker_takes_refuses_the_restore(world: SmallWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    largest = max(len(batch.data) for batch in world.source.log(("orders", 0)).batches())
    monkeypatch.setattr(preflight, "_LARGEST_REQUEST_BYTES", largest)
    assert [] == said(world.preview().findings, "error")

    monkeypatch.setattr(preflight, "_LARGEST_REQUEST_BYTES", largest - 1)
    with refused(RefusedError, f"orders-0: it has a batch of {largest} bytes, more than a broker accepts", code=3):
        world.restore()


# ── groups ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["classic", "consumer"])
def test_a_group_in_use_is_a_warning_and_everything_else_is_restored(world: SmallWorld, kind: str) -> None:
    world.commit("audit", {("orders", 0): 3})
    world.back_up()
    world.target.groups.join("billing", group_type=kind)

    result = world.restore(**WITH_POSITIONS)

    [message] = [text for subject, text in said(result.findings, "warning") if subject == "billing"]
    assert f"later with `kafka-backup offsets apply {result.plan.restore} --group billing`" in message
    assert (True, []) == (result.is_partial, list(result.mismatches))
    assert {"audit": False, "billing": True} == {one.group: bool(one.failure) for one in result.positions}
    assert world.contents("orders", cluster=world.source) == world.contents("copy")
    assert {} == world.target.groups.by_id["billing"].positions


def test_a_group_in_use_is_no_reason_when_positions_are_only_reported(world: SmallWorld) -> None:
    world.target.groups.join("billing")
    assert [] == said(world.preview(consumer_group_strategy="header-based").findings, "error")


def test_a_group_that_the_point_does_not_have_is_refused(world: SmallWorld) -> None:
    has = r"the point has no positions of this group\. Correct consumer_groups\."
    with refused(RefusedError, rf"nobody: {has} It has those of billing\.$", code=3):
        world.restore(consumer_groups=("billing", "nobody"), **WITH_POSITIONS)
    with refused(RefusedError, rf"biling: {has} Did you mean billing\?$", code=3):
        world.restore(consumer_groups=("biling",), **WITH_POSITIONS)


def test_a_group_whose_positions_failed_is_a_warning_and_an_error_when_asked_for() -> None:
    world = SmallWorld()
    world.topic()
    world.commit("billing", {("orders", 0): 7})
    world.source.groups.by_id["billing"].refusal = UNKNOWN_SERVER_ERROR
    world.back_up()

    for_all = world.preview(**WITH_POSITIONS).findings
    by_name = world.preview(consumer_groups=("billing",), **WITH_POSITIONS).findings

    assert [("billing", True)] == [
        (name, "its positions could not be captured" in why) for name, why in said(for_all, "warning")
    ]
    assert ["billing"] == [name for name, _ in said(by_name, "error")]


def test_a_backup_without_positions_is_refused_when_they_are_to_be_written(world: SmallWorld) -> None:
    world.back_up(consumer_group_snapshot=False)

    cure = "Set it to true for the next backups. Choose another point, or set consumer_group_strategy to skip"
    with refused(RefusedError, f"the backup was made without consumer_group_snapshot. {cure}", code=3):
        world.restore(**WITH_POSITIONS)
    noted = world.preview(consumer_group_strategy="header-based").findings
    assert ["groups"] == [subject for subject, _ in said(noted, "note")]
    assert [] == said(world.preview().findings, "note")


def test_groups_of_the_target_without_a_coordinator_are_an_error(world: SmallWorld) -> None:
    world.target.make_positions_topic()
    world.target.elect((POSITIONS_TOPIC, 0), None)
    assert ["groups"] == [subject for subject, _ in said(world.preview(**WITH_POSITIONS).findings, "error")]


def test_positions_that_the_user_is_not_allowed_to_write_are_an_access_error(world: SmallWorld) -> None:
    world.target = kafka(world.clock, seed=3, has_authorizer=True)
    world.target.permissions.allow_only("somebody", "Group", "billing", "Read")

    with refused(AccessError, "nothing was changed: groups: .*Read on Group billing", code=12):
        world.restore(user=USER, **WITH_POSITIONS)
    assert [] == said(world.preview(MAPPING, user=USER).findings, "error")
    world.target.permissions.allow_only(USER, "Group", "billing", "Read")
    assert [] == world.restore(user=USER, **WITH_POSITIONS).mismatches


# ── all of it ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_all_findings_come_at_once_with_errors_first(world: SmallWorld) -> None:
    world.topic("copy", partitions=2, cluster=world.target)
    key = _data_key(world)
    world.store.delete([key])

    findings = world.preview(consumer_groups=("nobody",), consumer_group_strategy="header-based").findings

    assert [("error", "copy-0"), ("error", "copy-1"), ("error", key), ("error", "nobody"), ("warning", "copy")] == [
        (finding.level, finding.subject) for finding in findings
    ]
