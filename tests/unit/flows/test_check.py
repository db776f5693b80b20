"""The flow `check` in cases that need no Kafka."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import ArtifactFilter
from prefect.client.schemas.objects import StateType

from blocks import KafkaCluster
from flows.check import check
from tests.support.made_backup import SET


def _artifacts(client: SyncPrefectClient, run: UUID | None) -> dict[str | None, Any]:
    wanted = ArtifactFilter.model_validate({"flow_run_id": {"any_": [run]}})
    return {artifact.type: artifact.data for artifact in client.read_artifacts(artifact_filter=wanted)}


def test_a_cluster_that_does_not_answer_fails_the_run_and_the_store_is_checked_all_the_same(
    client: SyncPrefectClient, repository_name: str, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    KafkaCluster(bootstrap_servers=[f"127.0.0.1:{port}"]).save("closed", overwrite=True)
    before = sorted(tmp_path.rglob("*"))

    state = check(SET, "closed", repository_name, return_state=True)

    assert StateType.FAILED == state.type
    assert "no bootstrap server can be used" in (state.message or "")
    artifacts = _artifacts(client, state.state_details.flow_run_id)
    rows = {(row["subject"], row["item"]): row for row in json.loads(artifacts["table"])}
    assert "missing" == rows[f"bootstrap server 127.0.0.1:{port}", "listener"]["status"]
    assert "ok" == rows[tmp_path.as_uri(), "write objects"]["status"]
    assert f"## backup to {SET}: " in artifacts["markdown"]
    assert before == sorted(tmp_path.rglob("*"))


def test_a_cluster_without_a_block_fails_the_run_with_one_sentence(client: object, repository_name: str) -> None:
    state = check(SET, "nowhere", repository_name, job="restore", return_state=True)

    assert StateType.FAILED == state.type
    assert "There is no block kafka-cluster/nowhere" in (state.message or "")
