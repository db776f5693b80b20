"""Staging: only what the records need on this target is staged, and settings that would delete records are deferred."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tasks.engine.target.staging import (
    AFTER,
    BEFORE,
    DIFFERENCE,
    NOT_COPIED,
    REMOVED_IN_4,
    StagingNeeds,
    alternatives,
    applicable_settings,
    deferred_changes,
    deferred_settings,
    final_changes,
    needed_staging,
    record_facts,
    without_staging,
)
from tasks.repository.lines import Frame, IndexLine

DAY_MS = 86_400_000
NOW_MS = 1_800_000_000_000
LONGEST = str((1 << 63) - 1)
JOINED_BYTES = 1_048_576

KAFKA_4: Mapping[str, str] = {
    "cleanup.policy": "delete",
    "compression.type": "producer",
    "max.message.bytes": "1048588",
    BEFORE: LONGEST,
    AFTER: "3600000",
    "message.timestamp.type": "CreateTime",
    "retention.bytes": "-1",
    "retention.ms": str(7 * DAY_MS),
}
"""What is in force on a topic of Kafka 4 without settings of its own."""

FULL = {
    "cleanup.policy": "delete",
    "compression.type": "producer",
    "max.message.bytes": "1048588",
    AFTER: LONGEST,
    BEFORE: LONGEST,
    "message.timestamp.type": "CreateTime",
    "retention.bytes": "-1",
    "retention.ms": "-1",
}


def _line(**changes: Any) -> IndexLine:
    """A segment with one batch of one record that was written now."""
    stamp = changes.pop("stamp", NOW_MS)
    frame = Frame(0, 1, 0, 1, changes.pop("log_bytes", 100), 1, changes.pop("is_dense", True), stamp, None, stamp)
    given = {"timestamp_type": "CreateTime", "codecs": ("none",), "largest_batch_bytes": 100, **changes}
    return IndexLine(topic="t", topic_id="i", partition=0, first=0, next=1, captured_ms=0, frames=(frame,), **given)


def _needs(
    line: IndexLine | None = None,
    *,
    own: Mapping[str, str] | None = None,
    after: Mapping[str, str] | None = None,
    during: Mapping[str, str] | None = None,
    **changes: Any,
) -> StagingNeeds:
    in_force = {**KAFKA_4, **(own or {})} if during is None else during
    return StagingNeeds(
        facts=record_facts([[line or _line()]]),
        during=in_force,
        after=in_force if after is None else {**KAFKA_4, **after},
        known=changes.pop("known", frozenset(KAFKA_4)),
        is_keyed=changes.pop("is_keyed", False),
        choice=changes.pop("choice", None),
        joined_batch_bytes=JOINED_BYTES,
        now_ms=NOW_MS,
    )


# ── need ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_young_small_records_need_nothing_on_a_topic_with_kafkas_defaults() -> None:
    assert {} == needed_staging(_needs())


def test_everything_is_staged_where_nothing_is_known_of_the_target() -> None:
    assert FULL == needed_staging(_needs(during={}, known=None))


def test_nothing_is_staged_without_records() -> None:
    empty = StagingNeeds(
        facts=record_facts([[]]),
        during={},
        after={},
        known=None,
        is_keyed=False,
        choice="defer",
        joined_batch_bytes=JOINED_BYTES,
        now_ms=NOW_MS,
    )
    assert ({}, ()) == (needed_staging(empty), deferred_settings(empty, {}))


@pytest.mark.parametrize(
    ("line", "own", "staged"),
    [
        pytest.param({"stamp": NOW_MS - 8 * DAY_MS}, {}, {"retention.ms": "-1"}, id="records that are too old"),
        pytest.param({"stamp": NOW_MS - 7 * DAY_MS + 1}, {}, {"retention.ms": "-1"}, id="records soon too old"),
        pytest.param({"stamp": NOW_MS - 5 * DAY_MS}, {}, {}, id="records that are young enough"),
        pytest.param({"stamp": -1}, {}, {"retention.ms": "-1"}, id="records without a time"),
        pytest.param({"stamp": 0}, {"retention.ms": "-1"}, {}, id="old records on an unlimited topic"),
        pytest.param({}, {"retention.bytes": "150"}, {"retention.bytes": "-1"}, id="a log nearly as large as allowed"),
        pytest.param({}, {"retention.bytes": "200"}, {}, id="a log far smaller than allowed"),
        pytest.param({}, {"cleanup.policy": "compact"}, {"cleanup.policy": "delete"}, id="a compacted topic"),
        pytest.param({}, {"compression.type": "gzip"}, {"compression.type": "producer"}, id="another codec"),
        pytest.param({"codecs": ("gzip",)}, {"compression.type": "gzip"}, {}, id="the same codec"),
        pytest.param({}, {"compression.type": "uncompressed"}, {}, id="no codec on both sides"),
        pytest.param(
            {},
            {"message.timestamp.type": "LogAppendTime"},
            {"message.timestamp.type": "CreateTime"},
            id="the broker's times",
        ),
        pytest.param({"stamp": NOW_MS + 3_600_001}, {}, {AFTER: LONGEST}, id="records of the future"),
        pytest.param({}, {BEFORE: str(DAY_MS)}, {BEFORE: LONGEST}, id="a limit of old records, minimum unknown"),
        pytest.param(
            {"largest_batch_bytes": 2 << 20}, {}, {"max.message.bytes": str(2 << 20)}, id="batches that are too large"
        ),
        pytest.param(
            {"largest_batch_bytes": 2 << 20, "is_dense": False},
            {},
            {"max.message.bytes": str(4 << 20)},
            id="large batches that are written anew",
        ),
        pytest.param(
            {}, {"max.message.bytes": "2000"}, {"max.message.bytes": "1048588"}, id="a limit below joined batches"
        ),
    ],
)
def test_a_setting_is_staged_only_if_the_records_need_it(
    line: dict[str, Any], own: dict[str, str], staged: dict[str, str]
) -> None:
    assert staged == needed_staging(_needs(_line(**line), own=own))


def test_old_records_of_a_compacted_topic_need_unlimited_retention_while_it_is_not_compacted() -> None:
    needs = _needs(_line(stamp=NOW_MS - 8 * DAY_MS), own={"cleanup.policy": "compact"})
    assert {"cleanup.policy": "delete", "retention.ms": "-1"} == needed_staging(needs)
    assert () == deferred_settings(needs, needed_staging(needs))


@pytest.mark.parametrize(
    ("known", "during", "staged"),
    [
        pytest.param({DIFFERENCE}, {DIFFERENCE: str(DAY_MS)}, [DIFFERENCE], id="before 3.6"),
        pytest.param({DIFFERENCE}, {DIFFERENCE: LONGEST}, [], id="before 3.6, unlimited"),
        pytest.param({DIFFERENCE}, {}, [DIFFERENCE], id="before 3.6, value unknown"),
        pytest.param(
            {BEFORE, AFTER, DIFFERENCE},
            {BEFORE: LONGEST, AFTER: LONGEST, DIFFERENCE: str(DAY_MS)},
            [DIFFERENCE],
            id="3.6 to 3.9, where the older setting counts",
        ),
        pytest.param({"retention.ms"}, {}, [AFTER, BEFORE], id="a target that shows none of them"),
    ],
)
def test_the_limit_of_timestamps_is_named_as_the_target_names_it(
    known: set[str], during: dict[str, str], staged: list[str]
) -> None:
    in_force = {name: value for name, value in KAFKA_4.items() if "timestamp" not in name or name.endswith("type")}
    needs = _needs(during={**in_force, **during}, known=frozenset(known))
    assert staged == sorted(needed_staging(needs))


def test_lines_without_a_fact_count_as_the_unsafe_case() -> None:
    line = _line(codecs=(), timestamp_type="mixed")
    frame = line.frames[0]._replace(oldest_ts=None, max_ts=None)
    facts = record_facts([[line.model_copy(update={"frames": (frame,)})]])
    assert (-1, int(LONGEST), 200) == (facts.oldest_batch_ms, facts.newest_ms, facts.sent_batch_bytes)


# ── what is deferred ────────────────────────────────────────────────────────────────────────────────────────────────


def _deferred(own: dict[str, str], *, age_ms: int = 0, choice: str | None = None) -> tuple[str, ...]:
    needs = _needs(_line(stamp=NOW_MS - age_ms), own=own, choice=choice)
    return deferred_settings(needs, needed_staging(needs))


def test_retention_is_deferred_if_it_would_delete_records() -> None:
    assert ("retention.ms",) == _deferred({"retention.ms": str(DAY_MS)}, age_ms=2 * DAY_MS)
    assert () == _deferred({"retention.ms": str(DAY_MS)}, age_ms=DAY_MS // 2)


def test_a_retention_that_only_the_backup_has_is_deferred_too() -> None:
    needs = _needs(_line(stamp=NOW_MS - DAY_MS), own={"retention.ms": "-1"}, after={"retention.ms": "1000"})
    assert {"retention.ms": "-1"} == needed_staging(needs)
    assert ("retention.ms",) == deferred_settings(needs, needed_staging(needs))


def test_the_brokers_retention_applies_to_a_topic_without_its_own() -> None:
    assert _deferred({}, age_ms=8 * DAY_MS)
    assert not _deferred({}, age_ms=6 * DAY_MS)
    assert not _deferred({"retention.ms": "-1"}, age_ms=9 * DAY_MS)


@pytest.mark.parametrize("name", ["retention.ms", "retention.bytes"])
def test_a_retention_that_is_not_known_is_deferred(name: str) -> None:
    known = {"retention.ms": "-1", "retention.bytes": "-1", "cleanup.policy": "delete"}
    unknown = {other: value for other, value in known.items() if other != name}
    needs = _needs(_line(stamp=NOW_MS - 1), during=unknown)
    assert (name,) == deferred_settings(needs, needed_staging(needs))


def test_retention_by_size_is_deferred_if_a_partition_is_larger() -> None:
    assert ("retention.bytes",) == _deferred({"retention.bytes": "99", "retention.ms": "-1"})
    assert not _deferred({"retention.bytes": "100", "retention.ms": "-1"})


def test_the_option_finalize_overrides_the_rule() -> None:
    old = {"retention.ms": "1"}
    assert () == _deferred(old, age_ms=DAY_MS, choice="apply")
    assert ("retention.ms",) == _deferred({"retention.ms": str(30 * DAY_MS)}, choice="defer")
    assert () == _deferred({"retention.ms": "-1"}, choice="defer")


def test_a_topic_that_is_only_compacted_defers_nothing() -> None:
    assert () == _deferred({"cleanup.policy": "compact", "retention.ms": "1"}, age_ms=DAY_MS, choice="defer")


def test_a_topic_that_compacts_and_deletes_only_compacts_until_it_is_finalized() -> None:
    settings = {"cleanup.policy": "compact,delete", "retention.ms": "1", "min.insync.replicas": "2"}
    needs = _needs(_line(stamp=NOW_MS - DAY_MS), own=settings)
    staging = needed_staging(needs)
    deferred = deferred_settings(needs, staging)
    assert ("retention.ms", "cleanup.policy") == deferred
    assert ({"cleanup.policy": "compact"}, []) == final_changes(settings, staging, deferred, settings)
    assert ({"retention.ms": "1", "cleanup.policy": "compact,delete"}, []) == deferred_changes(settings, deferred)


# ── the end ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("deferred", [(), ("retention.ms", "retention.bytes")])
def test_every_staging_setting_is_replaced_or_removed_in_the_end(deferred: tuple[str, ...]) -> None:
    settings = {"retention.ms": "5", "max.message.bytes": "7"}
    to_set, to_remove = final_changes(settings, FULL, deferred, settings)
    later_set, later_remove = deferred_changes(settings, deferred)
    assert settings == {**to_set, **later_set}
    assert FULL.keys() == (to_set.keys() | later_set.keys() | {*to_remove, *later_remove}) & FULL.keys()


def test_a_setting_that_the_topic_has_already_is_not_set_again() -> None:
    settings = {"flush.ms": "5", "cleanup.policy": "compact", "retention.ms": "7"}
    present = {"flush.ms": "5", "cleanup.policy": "compact", "retention.ms": "8"}
    assert ({"retention.ms": "7"}, []) == final_changes(settings, {}, (), present)


def test_settings_that_the_target_cannot_have_are_not_applied() -> None:
    known = frozenset({"retention.ms", DIFFERENCE})
    settings = {"retention.ms": "1", "vendor.thing": "x", **dict.fromkeys((*NOT_COPIED, *REMOVED_IN_4), "x")}
    assert {"retention.ms": "1", DIFFERENCE: "x"} == applicable_settings(settings, known)
    assert {"retention.ms": "1", "vendor.thing": "x"} == applicable_settings(settings, None)


# ── refused staging settings ────────────────────────────────────────────────────────────────────────────────────────

OLD = {"stamp": NOW_MS - 8 * DAY_MS}


@pytest.mark.parametrize(
    ("name", "line", "own", "is_loss"),
    [
        ("retention.ms", OLD, {}, True),
        ("retention.ms", {"stamp": NOW_MS - 7 * DAY_MS + 9}, {}, False),
        ("retention.bytes", {}, {"retention.bytes": "99"}, True),
        ("retention.bytes", {}, {"retention.bytes": "150"}, False),
        ("cleanup.policy", {}, {"cleanup.policy": "compact"}, True),
        ("compression.type", {}, {"compression.type": "gzip"}, False),
        ("compression.type", {"codecs": ("zstd",)}, {"compression.type": "uncompressed"}, True),
        ("message.timestamp.type", {}, {"message.timestamp.type": "LogAppendTime"}, True),
        ("max.message.bytes", {"largest_batch_bytes": 2 << 20}, {}, True),
        ("max.message.bytes", {"largest_batch_bytes": 1 << 19, "is_dense": False}, {}, False),
        (BEFORE, OLD, {BEFORE: str(DAY_MS)}, True),
        (BEFORE, {}, {BEFORE: str(DAY_MS)}, False),
        (AFTER, {"stamp": NOW_MS + DAY_MS}, {}, True),
    ],
)
def test_a_restore_does_without_a_staging_setting_unless_records_would_be_lost(
    name: str, line: dict[str, Any], own: dict[str, str], is_loss: bool
) -> None:
    assert is_loss is without_staging(name, _needs(_line(**line), own=own)).is_loss


def test_a_compacted_source_has_keys_so_its_records_are_accepted_by_a_compacted_topic() -> None:
    needs = _needs(own={"cleanup.policy": "compact"}, is_keyed=True)
    assert not without_staging("cleanup.policy", needs).is_loss
    assert [{"min.compaction.lag.ms": LONGEST}] == alternatives("cleanup.policy", "delete", needs)


def test_instead_of_unlimited_retention_a_time_as_long_as_the_records_need_is_tried() -> None:
    needs = _needs(_line(stamp=NOW_MS - 8 * DAY_MS))
    assert [{"retention.ms": str(15 * DAY_MS)}, {"retention.ms": str(9 * DAY_MS)}] == alternatives(
        "retention.ms", "-1", needs
    )


def test_instead_of_a_limit_with_reserve_the_size_of_the_largest_batch_is_tried() -> None:
    needs = _needs(_line(largest_batch_bytes=3 << 20, is_dense=False))
    staged = needed_staging(needs)["max.message.bytes"]
    assert (str(6 << 20), [{"max.message.bytes": str(3 << 20)}]) == (
        staged,
        alternatives("max.message.bytes", staged, needs),
    )
