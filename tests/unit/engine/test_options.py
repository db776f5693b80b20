"""Options: frozen, described, and refused when they would be pointless or dangerous."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tasks.engine.options import BackupOptions, Options, RestoreOptions, RetentionPolicy, TopicSelection


@pytest.mark.parametrize("model", [TopicSelection, BackupOptions, RestoreOptions])
def test_every_option_has_a_title_and_a_description_for_its_form(model: type[Options]) -> None:
    assert [] == [name for name, field in model.model_fields.items() if not (field.title and field.description)]


@pytest.mark.parametrize("model", [TopicSelection, BackupOptions, RestoreOptions])
def test_options_have_defaults_cannot_be_changed_and_survive_json(model: type[Options]) -> None:
    options = model()
    assert options == model.model_validate_json(options.model_dump_json())
    with pytest.raises(ValidationError, match="frozen"):
        setattr(options, next(iter(model.model_fields)), None)


@pytest.mark.parametrize(
    ("model", "values"),
    [
        (BackupOptions, {"compression": "gzip"}),
        (BackupOptions, {"compression_level": 0}),
        (BackupOptions, {"compression_level": 20}),
        (BackupOptions, {"segment_max_bytes": 1023}),
        (BackupOptions, {"segment_max_bytes": (1 << 30) + 1}),
        (BackupOptions, {"segment_max_records": 0}),
        (BackupOptions, {"fetch_max_bytes": 0}),
        (BackupOptions, {"max_concurrent_partitions": 65}),
        (BackupOptions, {"max_bytes_per_second": 999}),
        (BackupOptions, {"labels": {"a b": "x"}}),
        (BackupOptions, {"labels": {f"k{number}": "x" for number in range(33)}}),
        (BackupOptions, {"password": "x"}),
        (RestoreOptions, {"topic_mapping": {"a": ""}}),
        (RestoreOptions, {"topic_mapping": {"a": "b/c"}}),
        (RestoreOptions, {"topic_mapping": {"a": ".."}}),
        (RestoreOptions, {"topic_mapping": {"a": "x" * 250}}),
        (RestoreOptions, {"source_partitions": [-1]}),
        (RestoreOptions, {"source_partitions": []}),
        (RestoreOptions, {"source_partitions": {"orders": [0]}}),
        (RestoreOptions, {"consumer_groups": []}),
        (RestoreOptions, {"consumer_group_strategy": "guess"}),
        (RestoreOptions, {"default_replication_factor": 0}),
        (RestoreOptions, {"topic_configs": "copy"}),
        (RestoreOptions, {"finalize": "later"}),
        (RestoreOptions, {"verify": "full"}),
        (RestoreOptions, {"produce_timeout_ms": 999}),
        (RestoreOptions, {"reset_consumer_offsets": True}),
    ],
)
def test_what_cannot_be_meant_is_refused(model: type[Options], values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        model.model_validate(values)


def test_positions_are_written_when_they_are_translated() -> None:
    assert RestoreOptions(consumer_group_strategy="header-based", reset_consumer_offsets=True).reset_consumer_offsets


@pytest.mark.parametrize(
    ("tiers", "said"),
    [
        ([{"after": "36h", "class": "GLACIER"}], "whole days"),
        ([{"after": "29d", "class": "STANDARD_IA"}], "from 30d"),
        ([{"after": "30d", "class": "COLD"}], "class"),
        ([{"after": "60d", "class": "GLACIER"}, {"after": "60d", "class": "DEEP_ARCHIVE"}], "higher age"),
        ([{"after": "30d", "class": "GLACIER"}, {"after": "60d", "class": "GLACIER_IR"}], "only in the order"),
        ([{"after": "30d", "class": "GLACIER"}, {"after": "60d", "class": "GLACIER"}], "only in the order"),
    ],
)
def test_tiers_that_s3_would_refuse_are_refused(tiers: list[dict[str, str]], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        RetentionPolicy.model_validate({"keep_last": 1, "tiers": tiers})


def test_a_policy_without_tiers_is_stored_without_the_member() -> None:
    assert "tiers" not in RetentionPolicy(keep_last=1).model_dump(mode="json")
    tiers = [{"after": "30d", "class": "STANDARD_IA"}, {"after": "12w", "class": "GLACIER"}]
    policy = RetentionPolicy.model_validate({"keep_last": 1, "tiers": tiers})
    assert tiers == policy.model_dump(mode="json")["tiers"]
    assert policy == RetentionPolicy.model_validate_json(policy.model_dump_json())
