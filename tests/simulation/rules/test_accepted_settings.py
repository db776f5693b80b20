"""Targets that refuse settings: the restore asks for less, or says in the target's words why it cannot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tasks.model.errors import ConfigError, RefusedError
from tests.simulation.kafka import SimulatedKafka
from tests.simulation.rules.small_world import DAY_MS, HOUR_MS, SmallWorld, kafka, refused, said

SIX = {
    "cleanup.policy",
    "max.message.bytes",
    "min.insync.replicas",
    "retention.bytes",
    "retention.ms",
    "segment.bytes",
}


def only_six(changed: Mapping[str, str]) -> str | None:
    """A managed cluster that lets clients set six settings."""
    others = sorted(changed.keys() - SIX)
    return f"{', '.join(others)} cannot be changed on this plan" if others else None


def small_batches(changed: Mapping[str, str]) -> str | None:
    """A managed cluster with batches of 8 MiB at most."""
    size = int(changed.get("max.message.bytes", "0"))
    return f"max.message.bytes {size} is more than 8388608" if size > 8 << 20 else None


def fixed_policy(changed: Mapping[str, str]) -> str | None:
    """A managed cluster whose topics keep the cleanup.policy that they have."""
    return "cleanup.policy cannot be changed" if "cleanup.policy" in changed else None


def week(changed: Mapping[str, str]) -> str | None:
    """A managed cluster that keeps nothing longer than a week."""
    age = int(changed.get("retention.ms", "0"))
    return f"retention.ms {age} is more than 7 days" if age < 0 or age > 7 * DAY_MS else None


POLICIES = [only_six, small_batches, fixed_policy, week]
Policy = Callable[[Mapping[str, str]], str | None]


def _world(policy: Policy | None = None, configs: Mapping[str, str] | None = None, *, age_ms: int = 0) -> SmallWorld:
    """A backed-up topic `orders` with records of this age, and a target with this policy."""
    world = SmallWorld()
    world.topic(records=0, configs=configs)
    world.send(age_ms=age_ms)
    world.back_up()
    if policy is not None:
        world.target.policy = policy
    return world


def _requests(world: SmallWorld, act: Callable[[], object]) -> list[str]:
    """The checking requests that `act` sends to the target."""
    before = len(world.target_faults.steps)
    act()
    steps = world.target_faults.steps[before:]
    return [step.call for step in steps if not step.has_happened and step.call in _CHECKS]


_CHECKS = ("admin.create_topics", "admin.alter_topics")


# ── policies ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("exists", [False, True], ids=["created", "existing"])
def test_young_small_records_are_restored_under_every_policy(policy: Policy, exists: bool) -> None:
    world = _world(policy)
    if exists:
        world.target.create_topic("copy")

    result = world.restore()

    assert ([], []) == (result.mismatches, said(result.findings, "warning"))
    assert world.contents("orders", cluster=world.source) == world.contents("copy")
    assert {} == world.own_settings("copy")


@pytest.mark.parametrize(
    ("policy", "own", "words"),
    [
        (only_six, {"flush.ms": "5"}, "flush.ms cannot be changed on this plan"),
        (small_batches, {"max.message.bytes": str(9 << 20)}, "9437184 is more than 8388608"),
        (fixed_policy, {"cleanup.policy": "compact"}, "cleanup.policy cannot be changed"),
        (week, {"retention.ms": str(30 * DAY_MS)}, "2592000000 is more than 7 days"),
    ],
)
def test_a_setting_of_the_backup_that_a_policy_refuses_is_named_in_its_words_before_anything_is_made(
    policy: Policy, own: dict[str, str], words: str
) -> None:
    world = _world(policy, own)
    stored = list(world.store.list(""))

    with refused(RefusedError, f"copy: cannot be created: .*{words}.*topic_configs: ignore", code=3):
        world.restore()
    assert (set(), stored) == (set(world.target.topics.by_name), list(world.store.list("")))

    assert [] == world.restore(topic_configs="ignore").mismatches


def test_records_that_are_older_than_the_longest_retention_are_refused_before_anything_is_made() -> None:
    world = _world(week, age_ms=8 * DAY_MS)
    message = r"copy: without retention\.ms=\d+ Kafka would delete restored records.*is more than 7 days"
    with refused(RefusedError, message, code=3):
        world.restore()
    assert (set(), []) == (set(world.target.topics.by_name), world.restores())


def test_where_unlimited_retention_is_refused_one_as_long_as_the_records_need_is_staged() -> None:
    world = _world(week, {"retention.ms": str(HOUR_MS)}, age_ms=3 * DAY_MS)
    seen: list[str] = []
    world.target_faults.before("batch.land", lambda: seen.append(world.own_settings("copy")["retention.ms"]))

    result = world.restore()

    [warning] = [message for _, message in said(result.findings, "warning") if message.startswith("during")]
    assert warning.startswith(f"during the restore retention.ms is {seen[0]}, because the target refuses")
    assert (["copy"], True) == (result.deferred, 3 * DAY_MS < int(seen[0]) <= 7 * DAY_MS)
    world.target.apply_retention()
    assert 10 == len(world.contents("copy"))
    world.finalize(result.plan.restore)
    assert str(HOUR_MS) == world.own_settings("copy")["retention.ms"]


def test_a_compacted_topic_whose_policy_is_fixed_is_protected_by_another_setting() -> None:
    world = _world(fixed_policy, {"cleanup.policy": "compact"})
    world.target.policy = lambda changed: None
    world.topic("copy", records=0, cluster=world.target, configs={"cleanup.policy": "compact"})
    world.target.policy = fixed_policy
    seen: list[dict[str, str]] = []
    world.target_faults.before("batch.land", lambda: seen.append(world.own_settings("copy")))

    result = world.restore()

    assert [{"cleanup.policy": "compact", "min.compaction.lag.ms": str((1 << 63) - 1)}] == seen
    assert ([], {"cleanup.policy": "compact"}) == (result.mismatches, world.own_settings("copy"))
    assert any("is set instead of cleanup.policy" in message for _, message in said(result.findings, "note"))


def test_a_setting_that_the_restore_can_do_without_is_warned_of() -> None:
    world = _world(only_six)
    world.target = kafka(world.clock, seed=3, settings={"compression.type": "gzip"})
    world.target.policy = only_six

    result = world.restore()

    [warning] = [message for _, message in said(result.findings, "warning")]
    assert warning.startswith("compression.type=producer is not set during the restore: brokers compress the batches")
    assert "compression.type cannot be changed on this plan" in warning
    assert ([], 10) == (result.mismatches, len(world.contents("copy")))


def test_a_setting_that_keeps_records_unchanged_is_not_done_without() -> None:
    world = _world(only_six)
    world.target = kafka(world.clock, seed=3, settings={"message.timestamp.type": "LogAppendTime"})
    world.target.policy = only_six
    with refused(RefusedError, "brokers would replace the times of all records", code=3):
        world.restore()
    assert {} == dict(world.target.topics.by_name)


def test_of_many_topics_only_the_refused_ones_are_named() -> None:
    world = SmallWorld()
    world.topic("a")
    world.topic("b", configs={"flush.ms": "5"})
    world.back_up()
    world.target.policy = only_six

    preview = world.preview({"a": "a", "b": "b"})

    assert ["b"] == [subject for subject, _ in said(preview.findings, "error")]


# ── settings that the target does not know ──────────────────────────────────────────────────────────────────────────

VENDOR = "confluent.value.schema.validation"


@pytest.mark.parametrize("has_topics", [False, True], ids=["empty target", "target with topics"])
@pytest.mark.parametrize("exists", [False, True], ids=["created", "existing"])
def test_a_setting_that_the_target_does_not_know_is_left_out_and_named(has_topics: bool, exists: bool) -> None:
    world = SmallWorld()
    world.topic()
    world.source.vendor_setting("orders", VENDOR, "true")
    settings = world.source.topics.by_name["orders"].settings
    settings.own = {**settings.own, "flush.ms": "5"}
    world.back_up()
    if has_topics:
        world.target.create_topic("any")
    if exists:
        world.target.create_topic("copy")

    result = world.restore()

    message = f"{VENDOR} is not applied, because the target does not know this setting."
    assert [("copy", message)] == said(result.findings, "warning")
    assert ([], {"flush.ms": "5"}) == (result.mismatches, world.own_settings("copy"))
    ignored = world.restore({"orders": "ignored"}, topic_configs="ignore")
    assert ([], []) == (ignored.mismatches, said(ignored.findings, "warning"))


def _old_target(world: SmallWorld, *, has_topics: bool = True, **settings: str) -> SimulatedKafka:
    made = kafka(world.clock, seed=3, version="3.5.2", settings=settings)
    if has_topics:
        made.create_topic("any")
    return made


@pytest.mark.parametrize("has_topics", [False, True], ids=["empty target", "target with topics"])
def test_an_older_target_gets_its_own_limit_of_timestamps(has_topics: bool) -> None:
    world = _world(age_ms=2 * DAY_MS)
    world.target = _old_target(
        world, has_topics=has_topics, **{"message.timestamp.difference.max.ms": str(HOUR_MS), "retention.ms": "-1"}
    )
    seen: list[dict[str, str]] = []
    world.target_faults.before("batch.land", lambda: seen.append(world.own_settings("copy")))

    result = world.restore()

    assert ([], {}) == (result.mismatches, world.own_settings("copy"))
    assert str((1 << 63) - 1) == seen[0]["message.timestamp.difference.max.ms"]


def test_settings_of_a_newer_source_are_left_out_on_an_older_target() -> None:
    limit = {"message.timestamp.before.max.ms": str(DAY_MS)}
    world = _world(None, limit)
    world.target = _old_target(world)
    result = world.restore()
    assert ["message.timestamp.before.max.ms is not applied, because the target does not know this setting."] == [
        message for _, message in said(result.findings, "warning")
    ]


def test_settings_of_an_older_source_come_back_on_an_older_target() -> None:
    world = SmallWorld()
    world.source = kafka(world.clock, seed=4, version="3.5.2")
    own = {"message.timestamp.difference.max.ms": str(DAY_MS), "message.downconversion.enable": "false"}
    world.topic(configs=own)
    world.back_up()
    world.target = _old_target(world)

    assert [] == world.restore().mismatches
    assert own == world.own_settings("copy")


# ── how many requests ───────────────────────────────────────────────────────────────────────────────────────────────


def _many(number: int, **configs: str) -> tuple[SmallWorld, dict[str, str]]:
    world = SmallWorld()
    for one in range(number):
        world.topic(f"t-{one}", records=1, configs=configs)
    world.back_up()
    return world, {f"t-{one}": f"copy-{one}" for one in range(number)}


@pytest.mark.parametrize("number", [1, 40])
def test_new_topics_are_checked_with_one_request_however_many_they_are(number: int) -> None:
    world, mapping = _many(number)
    assert ["admin.create_topics"] == _requests(world, lambda: world.preview(mapping))


def test_existing_topics_are_checked_with_one_request_however_many_they_are() -> None:
    world, mapping = _many(40, **{"flush.ms": "5"})
    for name in mapping.values():
        world.target.create_topic(name)
    assert ["admin.alter_topics"] == _requests(world, lambda: world.preview(mapping))


def test_own_settings_that_staging_hides_are_checked_with_one_more_request() -> None:
    world, mapping = _many(40, **{"cleanup.policy": "compact"})
    assert 2 * ["admin.create_topics"] == _requests(world, lambda: world.preview(mapping))


def test_refused_topics_are_diagnosed_together() -> None:
    world, mapping = _many(40, **{"retention.ms": str(HOUR_MS)})
    world.target.policy = week
    requests = _requests(world, lambda: world.preview(mapping))
    assert len(requests) < 10


def test_a_restore_creates_stages_and_finishes_its_topics_with_one_request_each() -> None:
    world, mapping = _many(40, **{"cleanup.policy": "compact"})
    for name in list(mapping.values())[:20]:
        world.target.create_topic(name)

    requests = _requests(world, lambda: world.restore(mapping))

    checks = ["admin.create_topics", "admin.alter_topics", "admin.create_topics"]
    assert [*checks, "admin.create_topics", "admin.alter_topics"] == requests


# ── nothing half-made ───────────────────────────────────────────────────────────────────────────────────────────────


def _policy_from_now_on(world: SmallWorld, policy: Policy) -> Callable[[Any], None]:
    def previewed(preview: Any) -> None:
        world.target.policy = policy

    return previewed


def test_when_one_topic_is_refused_after_the_preview_the_others_are_not_left_behind() -> None:
    world = SmallWorld()
    world.topic("a")
    world.topic("b", configs={"flush.ms": "5"})
    world.topic("c", configs={"cleanup.policy": "compact"})
    world.back_up()
    world.target.create_topic("c", configs={"cleanup.policy": "compact"})

    with refused(ConfigError, "Cannot create topic b: flush.ms cannot be changed", code=2):
        world.restore({"a": "a", "b": "b", "c": "c"}, previewed=_policy_from_now_on(world, only_six))

    assert ({"c"}, {"cleanup.policy": "compact"}) == (set(world.target.topics.by_name), world.own_settings("c"))


def test_a_staged_topic_gets_its_settings_back_when_another_cannot_be_staged() -> None:
    world = SmallWorld()
    world.topic("a", configs={"cleanup.policy": "compact"})
    world.topic("b", records=0)
    world.send(("b", 0), age_ms=30 * DAY_MS)
    world.back_up()
    for name in "ab":
        world.target.create_topic(name, configs={"cleanup.policy": "compact"} if name == "a" else None)

    with refused(ConfigError, "Cannot change the settings of topic b: retention.ms -1 is more than 7 days", code=2):
        world.restore({"a": "a", "b": "b"}, previewed=_policy_from_now_on(world, week))

    assert ({"cleanup.policy": "compact"}, {}) == (world.own_settings("a"), world.own_settings("b"))


def test_a_created_topic_that_somebody_writes_to_is_not_deleted() -> None:
    world = SmallWorld()
    world.topic()
    world.back_up()
    world.target_faults.after("admin.create_topics", lambda: world.send(("copy", 0), 3, cluster=world.target), skip=1)
    with refused(RefusedError, r"copy-0: its log ends at 3|copy-0: it is not empty", code=3) as caught:
        world.restore()
    assert (0, 3) == world.offsets("copy")
    assert "The created topics copy remain." in str(caught.value)
