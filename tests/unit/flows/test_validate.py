"""The flow `validate` on repositories that were made without a Kafka."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import ArtifactFilter
from prefect.client.schemas.objects import StateType

from flows.validate import validate
from tests.support.made_backup import SET


def _artifacts(client: SyncPrefectClient, run: UUID | None) -> dict[str | None, Any]:
    wanted = ArtifactFilter.model_validate({"flow_run_id": {"any_": [run]}})
    return {artifact.type: artifact.data for artifact in client.read_artifacts(artifact_filter=wanted)}


@pytest.mark.parametrize("level", ["quick", "full"])
def test_an_intact_point_completes_with_a_row_for_each_partition(
    client: SyncPrefectClient, repository_name: str, level: Any
) -> None:
    state = validate(SET, repository_name, level, return_state=True)

    assert (StateType.COMPLETED, "Completed") == (state.type, state.name)
    assert f"{SET}@1: no damage found" in (state.message or "")
    artifacts = _artifacts(client, state.state_details.flow_run_id)
    rows = json.loads(artifacts["table"])
    assert 0 < len(rows) == len({(row["topic"], row["partition"]) for row in rows})
    assert {""} == {row["findings"] for row in rows}
    assert f"## {SET}@1: no damage found" in artifacts["markdown"]
    assert 100 == artifacts["progress"]


def test_damage_fails_the_run_and_is_named_in_its_artifacts(
    client: SyncPrefectClient, repository_name: str, tmp_path: Path
) -> None:
    damaged = max((tmp_path / "data").rglob("*.zst"), key=lambda path: path.stat().st_size)
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)

    state = validate(f"{SET}@1", repository_name, return_state=True)

    assert StateType.FAILED == state.type
    assert "DAMAGED" in (state.message or "")
    artifacts = _artifacts(client, state.state_details.flow_run_id)
    assert damaged.name in artifacts["markdown"]
    first = json.loads(artifacts["table"])[0]
    assert damaged.name in first["findings"]


def test_a_set_that_does_not_exist_fails_the_run_with_one_sentence(repository_name: str, client: object) -> None:
    state = validate("none", repository_name, return_state=True)

    assert StateType.FAILED == state.type
    assert "no restore point" in (state.message or "")
