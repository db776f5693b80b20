"""The form of a flow in Prefect's UI: somebody who has not read the code can fill it in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from prefect import Flow
from prefect.exceptions import ParameterTypeError

from flows.backup import incremental_backup, snapshot_backup
from flows.check import check
from flows.consolidate import consolidate
from flows.continuous import continuous_backup
from flows.drill import restore_drill
from flows.restore import restore, validate_restore
from flows.retention import retention
from flows.validate import validate
from tasks.engine.options import BackupOptions, DrillOptions, Options, RestoreOptions

FLOWS: tuple[Flow[..., Any], ...] = (
    snapshot_backup,
    incremental_backup,
    consolidate,
    retention,
    continuous_backup,
    validate,
    validate_restore,
    restore,
    restore_drill,
    check,
)


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name)
def test_every_field_of_the_form_has_a_title_and_a_sentence(flow: Flow[..., Any]) -> None:
    fields = dict(_properties(flow.parameters.model_dump()))

    assert fields.keys() & {"max_concurrent_partitions", "keep_last"} or flow in (consolidate, validate), "options too"
    assert [] == [name for name, shown in fields.items() if not _is_title(shown.get("title"), name)]
    assert [] == [name for name, shown in fields.items() if not _is_sentence(shown.get("description"))]


def _is_title(title: str | None, name: str) -> bool:
    return bool(title) and title != name and "_" not in str(title) and str(title)[0].isupper()


def _is_sentence(text: str | None) -> bool:
    return bool(re.fullmatch(r"[A-Z][^\n]{20,}\.", text or ""))


@pytest.mark.parametrize(
    ("model", "first"),
    [
        (BackupOptions, ["consumer_group_snapshot", "max_concurrent_partitions", "compression"]),
        (DrillOptions, ["point", "within", "topics"]),
        (RestoreOptions, ["topic_mapping", "consumer_group_strategy", "reset_consumer_offsets"]),
    ],
)
def test_the_usual_options_come_first(model: type[Options], first: Sequence[str]) -> None:
    assert first == list(model.model_fields)[: len(first)]


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name)
def test_only_sets_and_blocks_have_to_be_named_and_everything_else_is_filled_in(flow: Flow[..., Any]) -> None:
    required = set(flow.parameters.required or ())
    assert required <= {"backup_id", "repository", "source", "target", "cluster", "policy"}
    assert {"backup_id", "repository"} <= required
    assert all(flow.parameters.properties[name]["type"] == "string" for name in required - {"policy"})


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name)
def test_no_parameter_takes_a_secret(flow: Flow[..., Any]) -> None:
    assert "password" not in json.dumps(flow.parameters.model_dump())


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name)
def test_every_flow_has_a_description(flow: Flow[..., Any]) -> None:
    assert flow.description is not None
    assert len(flow.description.splitlines()[0]) > 30


@pytest.mark.parametrize(
    ("flow", "given", "expected"),
    [
        (snapshot_backup, {"options": {"compression_level": 99}}, "options.compression_level: Input should be"),
        (snapshot_backup, {"options": {"compresion": "none"}}, "options.compresion: Extra inputs are not permitted"),
        (snapshot_backup, {"options": {"internal_topics": ["a"]}}, "options: .*internal_topics needs include_"),
        (snapshot_backup, {"topics": {"include": "a"}}, "topics.include: Input should be"),
        (snapshot_backup, {"source": None}, "source: Input should be a valid string"),
        (validate, {"level": "deep"}, "level: Input should be 'quick' or 'full'"),
        (validate_restore, {"options": {"topic_mapping": {"a": 3}}}, "options.topic_mapping.a: Input should be"),
        (restore, {"options": {"finalize": "maybe"}}, "options.finalize: Input should be 'apply' or 'defer'"),
        (restore, {"purge_confirmed": "perhaps"}, "purge_confirmed: Input should be a valid boolean"),
    ],
    ids=lambda value: value.name if isinstance(value, Flow) else next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_wrong_parameter_is_refused_by_its_name_in_one_sentence_before_anything_runs(
    flow: Flow[..., Any], given: Mapping[str, Any], expected: str
) -> None:
    names = dict.fromkeys(flow.parameters.required or (), "name")
    with pytest.raises(ParameterTypeError) as raised:
        flow.validate_parameters({**names, **given})

    _, sentence = str(raised.value).splitlines()
    assert re.fullmatch(f" - {expected}.*", sentence), sentence


def test_a_form_takes_tiers_with_the_names_of_the_file() -> None:
    tiers = [{"after": "30d", "class": "STANDARD_IA"}, {"after": "90d", "class": "GLACIER"}]
    given = {"backup_id": "orders", "repository": "name", "policy": {"keep_last": 1, "tiers": tiers}}
    assert {"after", "class"} == retention.parameters.model_dump()["definitions"]["Tier"]["properties"].keys()

    checked = retention.validate_parameters(given)

    assert [30, 90] == [tier.days for tier in checked["policy"].tiers]
    assert tiers == retention.serialize_parameters(checked)["policy"]["tiers"]


def _properties(schema: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(name, what is shown) of the parameters and of the members of the models they take."""
    for model in (schema, *schema["definitions"].values()):
        yield from model.get("properties", {}).items()
