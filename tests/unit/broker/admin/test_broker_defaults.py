"""The settings of topics that set nothing themselves."""

from __future__ import annotations

import pytest

from tasks.broker.admin.broker_defaults import defaults_of


@pytest.mark.parametrize(
    ("settings", "expected_ms"),
    [
        ({"log.retention.hours": "168"}, "604800000"),
        ({"log.retention.hours": "168", "log.retention.minutes": "5"}, "300000"),
        ({"log.retention.hours": "168", "log.retention.minutes": "5", "log.retention.ms": "7"}, "7"),
        ({"log.retention.hours": "-1"}, "-1"),
        ({}, None),
    ],
)
def test_the_finest_retention_that_is_set_counts(settings: dict[str, str], expected_ms: str | None) -> None:
    assert expected_ms == defaults_of(settings).get("retention.ms")


def test_size_and_policy_are_named_as_topics_name_them() -> None:
    settings = {"log.retention.bytes": "-1", "log.cleanup.policy": "compact,delete", "log.dirs": "/data"}
    assert {"retention.bytes": "-1", "cleanup.policy": "compact,delete"} == defaults_of(settings)
