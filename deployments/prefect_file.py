"""Reads prefect.yaml for other uses than `prefect deploy`: to serve its deployments with the environment variables of
their work pool, and to find the names of its flows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from prefect.client.schemas.objects import ConcurrencyLimitConfig
from prefect.deployments.runner import RunnerDeployment
from prefect.flows import Flow, load_flow_from_entrypoint
from prefect.schedules import Schedule
from prefect.types.entrypoint import EntrypointType

PREFECT_FILE = Path(__file__).with_name("prefect.yaml")


def entries(path: Path = PREFECT_FILE) -> list[dict[str, Any]]:
    """The deployments of the file, each as it is written."""
    return list(yaml.safe_load(path.read_text(encoding="utf-8"))["deployments"])


def flow_of(entry: dict[str, Any]) -> Flow[..., Any]:
    """The flow that the entry deploys. Raises the error of its module if that cannot be imported."""
    return load_flow_from_entrypoint(entry["entrypoint"], use_placeholder_flow=False)


def deployed_flows(path: Path = PREFECT_FILE) -> list[str]:
    """The names of the flows that the file deploys."""
    return sorted({flow_of(entry).name for entry in entries(path)})


def served(entry: dict[str, Any]) -> RunnerDeployment:
    """The entry as a deployment that needs no work pool."""
    limit = entry.get("concurrency_limit")
    deployment = flow_of(entry).to_deployment(
        entry["name"],
        description=entry.get("description"),
        tags=entry.get("tags"),
        parameters=entry.get("parameters"),
        schedules=[Schedule(**schedule) for schedule in entry.get("schedules", ())],
        concurrency_limit=ConcurrencyLimitConfig(**limit) if limit else None,
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    assert isinstance(deployment, RunnerDeployment)  # it is a coroutine only inside a running event loop
    return deployment


def environment_of(entry: dict[str, Any]) -> dict[str, str]:
    """The environment variables that the entry's work pool gives to its runs."""
    return dict(entry.get("work_pool", {}).get("job_variables", {}).get("env", {}))
