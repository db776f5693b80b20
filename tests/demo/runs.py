"""The demo's runs: deployments started as an operator starts them, and what they leave to read."""

from __future__ import annotations

import json
import shlex
from typing import Any
from uuid import UUID

from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort
from rich.markdown import Markdown

from tests.demo import topics
from tests.demo.screen import console, show_command
from tests.support.installation import Installation

BACKUP_ID = "first-backup-orders"
MAPPING = {topic: f"{topic}_restored" for topic in topics.PARTITIONS}


class Runs:
    """A backup, its validation, a restore into other topics of the same Kafka, and a drill."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self.ids: dict[str, UUID] = {}
        """Of those that have ended, by deployment."""

    def show(self) -> None:
        """All four. Raises `SystemExit` when one does not end well."""
        self._run("snapshot-backup/nightly", backup_id=BACKUP_ID, topics={"include": list(topics.PARTITIONS)})
        self._run("validate/daily", backup_id=BACKUP_ID)
        positions = {"consumer_group_strategy": "header-based", "reset_consumer_offsets": True}
        options = {"topic_mapping": MAPPING, **positions}
        self._run("restore/on-demand", backup_id=BACKUP_ID, target="production", options=options)
        objectives = {"rto": "10m", "rpo": "1h", "every": "7d"}
        self._run("restore-drill/on-demand", backup_id=BACKUP_ID, target="production", options=objectives)

    def _run(self, deployment: str, **parameters: Any) -> None:
        command = ["prefect", "deployment", "run", deployment, "--params", json.dumps(parameters), "--watch"]
        console.print()
        show_command(shlex.join(command))
        self._installation.server.run(*command)
        flow_run = self._newest()
        self.ids[deployment] = flow_run.id
        state = flow_run.state
        assert state is not None
        console.print(f"[bold]{flow_run.name}[/bold]: {state.name}, {flow_run.total_run_time.total_seconds():.1f} s")
        if state.type != StateType.COMPLETED:
            raise SystemExit(f"{deployment} ended {state.name}: {state.message}\n{self._installation.worker_output()}")
        for artifact in self._installation.artifacts(flow_run.id):
            if artifact.type == "markdown":
                console.print(Markdown(str(artifact.data)), soft_wrap=False)  # or its commands are cut off

    def _newest(self) -> FlowRun:
        started = FlowRunFilter.model_validate({"start_time": {"is_null_": False}})
        [newest] = self._installation.client.read_flow_runs(
            flow_run_filter=started, sort=FlowRunSort.START_TIME_DESC, limit=1
        )
        return newest
