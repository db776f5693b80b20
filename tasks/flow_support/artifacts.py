"""The artifacts that a flow run leaves behind. None of them is worth a failed backup: what the server does not take
within some patience is told to the log."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import ArtifactCreate
from prefect.logging import get_run_logger
from prefect.settings import PREFECT_API_REQUEST_TIMEOUT, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

PATIENCE_S = 90.0
"""How long the artifacts at the end are tried: a server may be restarted."""

_PAUSE_S = 2.0
_REQUEST_TIMEOUT_S = 10.0


@contextmanager
def single_try_client() -> Iterator[SyncPrefectClient]:
    """A client that tries once: Prefect's own waits twice as long after each failure, up to days."""
    brisk = {PREFECT_CLIENT_MAX_RETRIES: 0, PREFECT_API_REQUEST_TIMEOUT: _REQUEST_TIMEOUT_S}
    with temporary_settings(brisk), get_client(sync_client=True) as client:
        yield client


def artifact_key(*bin_tasks: str) -> str:
    """A key as Prefect wants it: lower-case letters, digits and dashes. Runs of one set share it."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(bin_tasks).lower()).strip("-")


def markdown(key: str, text: str, description: str) -> ArtifactCreate:
    """A markdown artifact."""
    return ArtifactCreate(key=key, type="markdown", data=text, description=description)


def table(key: str, rows: Sequence[Mapping[str, object]], description: str) -> ArtifactCreate:
    """A table artifact: one mapping per row, all with the same keys."""
    return ArtifactCreate(key=key, type="table", data=json.dumps(rows), description=description)


def publish(flow_run: str, *artifacts: ArtifactCreate) -> None:
    """Give them to the server, each once. Whatever prevents it is said in the log, and nowhere else."""
    waiting = [one.model_copy(update={"flow_run_id": UUID(flow_run)}) for one in artifacts]
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            with single_try_client() as client:
                while waiting:
                    client.create_artifact(waiting[0])
                    waiting.pop(0)
            return
        except Exception as error:  # whatever the client raises
            if time.monotonic() > deadline:
                get_run_logger().warning("%s artifacts could not be written: %r", len(waiting), error)
                return
        time.sleep(_PAUSE_S)
