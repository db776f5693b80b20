"""Staging: Kafka deletes no record during a replay, and settings that would delete records are deferred."""

from __future__ import annotations

import pytest

from tasks.engine.target.staging import (
    NOT_COPIED,
    copied_settings,
    deferred_changes,
    deferred_settings,
    final_changes,
    staging_settings,
)
from tasks.repository.lines import Frame, IndexLine

DAY_MS = 86_400_000
NOW_MS = 1_800_000_000_000


def _partition(oldest_ts: int | None, log_bytes: int = 100) -> list[IndexLine]:
    frame = Frame(0, 1, 0, 1, log_bytes, 1, True, oldest_ts, None, oldest_ts)
    return [IndexLine(topic="t", topic_id="i", partition=0, first=0, next=1, captured_ms=0, frames=(frame,))]


def _deferred(
    settings: dict[str, str], *, age_ms: int = 0, choice: str | None = None, defaults: dict[str, str] | None = None
) -> tuple[str, ...]:
    partitions = [_partition(NOW_MS - age_ms)]
    broker_defaults = {"retention.ms": str(7 * DAY_MS), "retention.bytes": "-1"}
    return deferred_settings(settings, broker_defaults | (defaults or {}), partitions, choice=choice, now_ms=NOW_MS)


def test_a_staged_topic_deletes_refuses_and_recompresses_no_records() -> None:
    staged = staging_settings(100)
    assert ("-1", "-1", "delete") == (staged["retention.ms"], staged["retention.bytes"], staged["cleanup.policy"])
    assert ("producer", "CreateTime") == (staged["compression.type"], staged["message.timestamp.type"])
    assert str(16 << 20) == staged["max.message.bytes"]
    assert str(64 << 20) == staging_settings(32 << 20)["max.message.bytes"]


def test_settings_that_are_valid_on_the_source_cluster_only_are_not_copied() -> None:
    assert {"retention.ms": "1"} == copied_settings({"retention.ms": "1", **dict.fromkeys(NOT_COPIED, "x")})


def test_retention_is_deferred_if_it_would_delete_records() -> None:
    assert ("retention.ms", "retention.bytes") == _deferred({"retention.ms": str(DAY_MS)}, age_ms=2 * DAY_MS)
    assert () == _deferred({"retention.ms": str(DAY_MS)}, age_ms=DAY_MS // 2)


def test_the_brokers_retention_applies_to_a_topic_without_its_own() -> None:
    assert _deferred({}, age_ms=8 * DAY_MS)
    assert not _deferred({}, age_ms=6 * DAY_MS)
    assert _deferred({}, age_ms=2 * DAY_MS, defaults={"retention.ms": str(DAY_MS)})
    assert not _deferred({}, age_ms=9 * DAY_MS, defaults={"retention.ms": "-1"})


def test_retention_is_deferred_if_the_brokers_retention_is_unknown() -> None:
    partitions = [_partition(NOW_MS - 1)]
    for known in ({}, {"retention.ms": "-1"}, {"retention.bytes": "-1"}):
        assert deferred_settings({}, known, partitions, choice=None, now_ms=NOW_MS)
    assert not deferred_settings({}, {"retention.ms": "-1", "retention.bytes": "-1"}, partitions, choice=None, now_ms=0)


def test_retention_by_size_is_deferred_if_a_partition_is_larger() -> None:
    assert _deferred({"retention.bytes": "99", "retention.ms": "-1"})
    assert not _deferred({"retention.bytes": "100", "retention.ms": "-1"})


def test_the_option_finalize_overrides_the_rule() -> None:
    old = {"retention.ms": "1"}
    assert () == _deferred(old, age_ms=DAY_MS, choice="apply")
    assert ("retention.ms", "retention.bytes") == _deferred({"retention.ms": "-1"}, choice="defer")


def test_a_topic_that_is_only_compacted_defers_nothing() -> None:
    assert () == _deferred({"cleanup.policy": "compact", "retention.ms": "1"}, age_ms=DAY_MS, choice="defer")


def test_a_topic_that_compacts_and_deletes_only_compacts_until_it_is_finalized() -> None:
    settings = {"cleanup.policy": "compact,delete", "retention.ms": "1", "min.insync.replicas": "2"}
    deferred = _deferred(settings, age_ms=DAY_MS)
    assert ("retention.ms", "retention.bytes", "cleanup.policy") == deferred
    to_set, to_remove = final_changes(settings, staging_settings(0), deferred)
    assert {"min.insync.replicas": "2", "cleanup.policy": "compact"} == to_set
    assert "retention.ms" not in to_remove
    assert ({"retention.ms": "1", "cleanup.policy": "compact,delete"}, ["retention.bytes"]) == deferred_changes(
        settings, deferred
    )


@pytest.mark.parametrize("deferred", [(), ("retention.ms", "retention.bytes")])
def test_every_staging_setting_is_replaced_or_removed_in_the_end(deferred: tuple[str, ...]) -> None:
    settings = {"retention.ms": "5", "max.message.bytes": "7"}
    staged = staging_settings(0)
    to_set, to_remove = final_changes(settings, staged, deferred)
    later_set, later_remove = deferred_changes(settings, deferred)
    assert settings == {**to_set, **later_set}
    assert staged.keys() == (to_set.keys() | later_set.keys() | {*to_remove, *later_remove}) & staged.keys()
