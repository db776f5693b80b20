"""The artifacts of a flow run: their keys and forms, and how long their publication is repeated.

No run fails because of an artifact. If the server does not accept one for a while, a warning is logged instead.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import ArtifactCreate
from prefect.context import SettingsContext, get_settings_context
from prefect.logging import get_run_logger

PUBLISH_FOR_S = 90.0
"""How long `publish` repeats failed requests, in seconds, because a server can be restarted."""

_PAUSE_S = 2.0


@contextmanager
def single_try_client() -> Iterator[SyncPrefectClient]:
    """A Prefect client that sends each request once, with the other settings of the flow. Normally the client repeats
    failed requests, with a pause that doubles each time.

    Prefect's `temporary_settings` could set the number of repetitions too, but it reads all settings again, which takes
    longer than a request.
    """
    now = get_settings_context()
    once = now.settings.model_copy(update={"client": now.settings.client.model_copy(update={"max_retries": 0})})
    with SettingsContext(profile=now.profile, settings=once), get_client(sync_client=True) as client:
        yield client


def artifact_key(*words: str) -> str:
    """A key in Prefect's form: lower-case letters, digits and dashes. Equal words give equal keys, so the runs of one
    set share a key. Pure."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(words).lower()).strip("-")


def markdown(key: str, text: str, description: str) -> ArtifactCreate:
    """A markdown artifact. Pure."""
    return ArtifactCreate(key=key, type="markdown", data=text, description=description)


def table(key: str, rows: Sequence[Mapping[str, object]], description: str) -> ArtifactCreate:
    """A table artifact: one mapping per row, all with the same keys. Pure."""
    return ArtifactCreate(key=key, type="table", data=json.dumps(rows), description=description)


def publish(flow_run: str, *artifacts: ArtifactCreate) -> None:
    """Create the artifacts on the server. Raises nothing: failed requests are repeated for `PUBLISH_FOR_S`, and then a
    warning is logged. If the response to a request is lost, its artifact can be created twice."""
    unsent = [one.model_copy(update={"flow_run_id": UUID(flow_run)}) for one in artifacts]
    deadline = time.monotonic() + PUBLISH_FOR_S
    while True:
        try:
            with single_try_client() as client:
                while unsent:
                    client.create_artifact(unsent[0])
                    unsent.pop(0)
            return
        except Exception as error:  # the client can raise any error
            if time.monotonic() > deadline:
                get_run_logger().warning("%s artifacts could not be written: %r", len(unsent), error)
                return
        time.sleep(_PAUSE_S)
