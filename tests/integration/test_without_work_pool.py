"""Other ways to run the flows: served from one process, and by a Python program with Prefect's ephemeral server."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from prefect.client.schemas.objects import DeploymentStatus, StateType
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectNotFound

from deployments.prefect_file import entries
from tests.support.installation import Installation, write_blocks
from tests.support.kafka import KafkaCluster
from tests.support.prefect_server import PROGRAMS, ROOT, project_settings
from tests.support.processes import end_marked, end_server
from tests.support.producing import OutRecord, create_topic, produce

pytestmark = pytest.mark.kafka


@pytest.fixture
def filled(kafka: KafkaCluster, topic_name: str) -> str:
    create_topic(kafka.bootstrap, topic_name)
    produce(kafka.bootstrap, topic_name, [OutRecord(b"key", b"value")] * 100)
    return topic_name


def test_a_served_deployment_runs_and_its_schedule_outlives_the_process(
    installation: Installation, filled: str, tmp_path: Path
) -> None:
    [nightly] = [entry for entry in entries() if entry["name"] == "nightly"]
    parameters = {**nightly["parameters"], "backup_id": filled, "topics": {"include": [filled]}}
    file = tmp_path / "prefect.yaml"
    file.write_text(yaml.safe_dump({"deployments": [{**nightly, "name": "served", "parameters": parameters}]}))

    with _serving(installation, file) as process:
        deployment = _ready(installation, "snapshot-backup/served", process)
        run = installation.run("snapshot-backup/served")
        process.terminate()
        assert 0 == process.wait(60)

    assert StateType.COMPLETED == run.state_type, run.state
    assert deployment.work_pool_name is None
    assert not installation.client.read_deployment(deployment.id).paused


@contextmanager
def _serving(installation: Installation, file: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = installation.server.spawn(
        *("python", "-m", "deployments.serve", str(file)),
        log=file.with_suffix(".log"),
        PREFECT_RUNNER_POLL_FREQUENCY="1",
    )
    try:
        yield process
    finally:
        end_server(process)


def _ready(installation: Installation, name: str, process: subprocess.Popen[bytes]) -> DeploymentResponse:
    """The deployment as soon as the process serves it."""
    while process.poll() is None:
        try:
            deployment = installation.client.read_deployment_by_name(name)
        except ObjectNotFound:
            deployment = None
        if deployment is not None and deployment.status == DeploymentStatus.READY:
            return deployment
        time.sleep(0.1)
    raise AssertionError(f"serving ended with exit code {process.returncode}")


PROGRAM = """
import sys
from deployments.blocks import main
from flows.backup import snapshot_backup

file, topic = sys.argv[1:]
assert 0 == main([file])
state = snapshot_backup(
    backup_id=topic, source="production", repository="production", topics={"include": [topic]}, return_state=True
)
print(state.type.value)
"""


def test_a_flow_runs_with_the_ephemeral_server(kafka: KafkaCluster, filled: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    foreign = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    own = {"PREFECT_HOME": str(home), "PREFECT_SERVER_EPHEMERAL_ENABLED": "true", "TMPDIR": str(tmp_path)}
    blocks = write_blocks(tmp_path, kafka.bootstrap_servers, tmp_path / "repository")

    try:
        done = subprocess.run(
            [str(PROGRAMS / "python"), "-c", PROGRAM, str(blocks), filled],
            cwd=ROOT,
            env={**foreign, **project_settings(), **own},
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
    finally:
        end_marked(f"PREFECT_HOME={home}")

    assert "COMPLETED" == done.stdout.splitlines()[-1], done.stdout + done.stderr
