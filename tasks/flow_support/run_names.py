"""The names of flow runs in Prefect's UI."""

from __future__ import annotations

from prefect.runtime import flow_run


def run_name() -> str:
    """The name of the current flow run: the point or set, the target of a restore, and the time for which it was
    scheduled."""
    given, due = flow_run.parameters, flow_run.scheduled_start_time
    where = f" to {given['target']}" if "target" in given else ""
    return f"{given['backup_id']}{where} {due:%Y-%m-%dT%H:%MZ}"
