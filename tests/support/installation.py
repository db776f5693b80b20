"""A Prefect server with all of `deployments/` and a worker, set up with the runbook's commands for a real Kafka."""

from __future__ import annotations

import json
import os
import shlex
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import ArtifactFilter, FlowRunFilter, LogFilter
from prefect.client.schemas.objects import Artifact, FlowRun, Log, StateType, TaskRun

from tests.support.prefect_server import PrefectServer, PrefectWorker
from tests.support.processes import marked

POOL = "kafka-backup"
FINAL = (StateType.COMPLETED, StateType.FAILED, StateType.CRASHED, StateType.CANCELLED)
RUN_TIMEOUT_S = 150.0
_PAGE = 200
_ARRIVAL_TIMEOUT_S = 120.0


class Installation:
    """A server with everything deployed, and a worker that can be killed and started again."""

    def __init__(self, server: PrefectServer, client: SyncPrefectClient, repository: Path) -> None:
        self.server = server
        self.client = client
        self.repository = repository
        self.worker = PrefectWorker(server, POOL)

    def as_client(self) -> AbstractContextManager[None]:
        """See `PrefectServer.as_client`."""
        return self.server.as_client()

    def run(self, deployment: str, **parameters: Any) -> FlowRun:
        """Start a run of `FLOW/DEPLOYMENT` and return it when it has ended, in any state."""
        return self.ended(self.start(deployment, **parameters))

    def start(self, deployment: str, **parameters: Any) -> UUID:
        """Create a run of `FLOW/DEPLOYMENT` and return its id. `parameters` are added to the deployment's own."""
        known = self.client.read_deployment_by_name(deployment)
        return self.client.create_flow_run_from_deployment(known.id, parameters=parameters).id

    def ended(self, run: UUID, timeout_s: float = RUN_TIMEOUT_S) -> FlowRun:
        """The run, when it is in a state that it cannot leave. Raises `AssertionError` after `timeout_s`."""
        return self.awaited(run, lambda flow_run: flow_run.state_type in FINAL, timeout_s)

    def awaited(self, run: UUID, is_so: Callable[[FlowRun], bool], timeout_s: float = RUN_TIMEOUT_S) -> FlowRun:
        """The run, as soon as `is_so(run)` is true. Raises `AssertionError` after `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        while not is_so(flow_run := self.client.read_flow_run(run)):
            assert time.monotonic() < deadline, f"{flow_run.name} is {flow_run.state}:\n{self.worker_output()}"
            time.sleep(0.1)  # the API has no call that waits for a state
        return flow_run

    def processes_of(self, run: UUID) -> list[int]:
        """The ids of the run's processes."""
        return marked(f"PREFECT__FLOW_RUN_ID={run}")

    def kill_processes_of(self, run: UUID) -> None:
        """SIGKILL all of them."""
        pids = self.processes_of(run)
        assert pids, "the run has no process to kill"
        for pid in pids:
            os.kill(pid, signal.SIGKILL)

    def task_runs(self, run: UUID, *, at_least: int = 0) -> list[TaskRun]:
        """The task runs of a flow run, in the order of their start.

        With `at_least` it waits until the server has that many and all of them have ended, because task runs are sent
        as events, which the server can store later than the flow run's end. Raises `AssertionError` after two minutes.
        """
        wanted = FlowRunFilter.model_validate({"id": {"any_": [run]}})
        deadline = time.monotonic() + _ARRIVAL_TIMEOUT_S
        while True:
            found = self._pages(wanted)
            if not at_least or (len(found) >= at_least and all(one.end_time for one in found)):
                return sorted(found, key=lambda task_run: str(task_run.start_time))
            assert time.monotonic() < deadline, [(one.name, one.state_name) for one in found]
            time.sleep(0.1)

    def _pages(self, wanted: FlowRunFilter) -> list[TaskRun]:
        found: list[TaskRun] = []
        while page := self.client.read_task_runs(flow_run_filter=wanted, limit=_PAGE, offset=len(found)):
            found += page
        return found

    def artifacts(self, run: UUID) -> list[Artifact]:
        """The artifacts of a flow run and of its task runs."""
        wanted = ArtifactFilter.model_validate({"flow_run_id": {"any_": [run]}})
        return list(self.client.read_artifacts(artifact_filter=wanted))

    def logs(self, run: UUID) -> list[Log]:
        """The log lines of a flow run that the server has received so far."""
        return list(self.client.read_logs(log_filter=LogFilter.model_validate({"flow_run_id": {"any_": [run]}})))

    def worker_output(self) -> str:
        """The last lines that the worker and its flow runs printed."""
        return "\n".join(self.worker.log.read_text(errors="replace").splitlines()[-40:])


@contextmanager
def installed(
    folder: Path, bootstrap_servers: Sequence[str], show_command: Callable[[str], None] = lambda command: None
) -> Iterator[Installation]:
    """A Prefect server in `folder` with all of `deployments/`, and a worker, while this `with` block runs.

    Its blocks are the clusters `production` and `disaster-recovery`, which are the same Kafka, and the repository
    `production` in `folder`. All schedules are paused. `show_command` is called with each command before it runs.
    """
    repository = folder.resolve() / "my-kafka-backups"
    with PrefectServer(folder / "prefect") as server, server.client() as client:
        installation = Installation(server, client, repository)
        for command in _set_up(write_blocks(folder, bootstrap_servers, repository)):
            show_command(shlex.join(command))
            server.run(*command)
        _pause_schedules(client)
        show_command(f"prefect worker start --pool {POOL}")
        with installation.worker:
            yield installation


def _pause_schedules(client: SyncPrefectClient) -> None:
    """Do what `prefect deployment schedule pause --all` does, without starting a Python for it."""
    for deployment in client.read_deployments():
        for schedule in deployment.schedules:
            client.update_deployment_schedule(deployment.id, schedule.id, active=False)


def write_blocks(folder: Path, bootstrap_servers: Sequence[str], repository: Path) -> Path:
    """A file of blocks: the clusters `production` and `disaster-recovery`, and the repository `production`."""
    cluster = {"bootstrap_servers": list(bootstrap_servers)}
    documents = {
        "kafka-cluster": {"production": cluster, "disaster-recovery": cluster},
        "local-repository": {"production": {"path": str(repository)}},
    }
    file = folder / "blocks.yaml"
    file.write_text(json.dumps(documents, indent=2), encoding="utf-8")  # JSON is YAML
    return file


def _set_up(blocks_file: Path) -> list[list[str]]:
    """The commands of the runbook."""
    return [
        ["prefect", "block", "register", "-m", "blocks"],
        ["python", "-m", "deployments.blocks", str(blocks_file)],
        ["prefect", "work-pool", "create", POOL, "--type", "process"],
        ["prefect", "--no-prompt", "deploy", "--prefect-file", "deployments/prefect.yaml", "--all"],
        ["python", "-m", "deployments.automations"],
    ]
