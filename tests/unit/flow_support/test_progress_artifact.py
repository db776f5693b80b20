"""The progress of a flow run: counted exactly, shown by one artifact, and never a reason for a run to fail."""

from __future__ import annotations

import time
from uuid import uuid4

import pytest
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import ArtifactFilter
from prefect.runtime import flow_run
from prefect.settings import PREFECT_API_URL, temporary_settings

from tasks.flow_support.progress_artifact import ProgressCounter, progress_artifact
from tests.support.made_logs import partition

ORDERS = partition("orders")


def test_the_figures_of_a_finished_task_replace_those_of_its_attempts() -> None:
    counter = ProgressCounter(total_bytes=1000)
    counter(ORDERS, records=3, log_bytes=300)
    counter.restart(ORDERS)
    counter(ORDERS, records=4, log_bytes=400)
    assert (4, 400) == counter.figures()
    counter.set_final(ORDERS, records=5, log_bytes=500)
    counter.set_final(ORDERS, records=5, log_bytes=500)
    assert (5, 500) == counter.figures()
    assert 50.0 == counter.percent()


def test_only_a_finished_run_shows_100_percent() -> None:
    counter = ProgressCounter(total_bytes=100)
    counter(ORDERS, records=1, log_bytes=250)
    assert 99.9 == counter.percent()
    assert 0.0 == ProgressCounter().percent()
    counter.is_done = True
    assert 100.0 == counter.percent()


def test_a_flow_run_has_one_progress_artifact_which_ends_with_the_last_figures(client: SyncPrefectClient) -> None:
    counter = ProgressCounter(total_bytes=100)

    @flow(persist_result=False)
    def counting() -> str:
        with progress_artifact(counter, "Counting", str(flow_run.id)):
            counter(ORDERS, records=7, log_bytes=50)
            counter.is_done = True
        return str(flow_run.id)

    wanted = ArtifactFilter.model_validate({"flow_run_id": {"any_": [counting()]}})
    deadline = time.monotonic() + 60
    while [100] != [one.data for one in client.read_artifacts(artifact_filter=wanted)]:
        assert time.monotonic() < deadline
        time.sleep(0.1)  # the flow waits only 2 s for a slow server
    [artifact] = client.read_artifacts(artifact_filter=wanted)
    assert ("progress", 100) == (artifact.type, artifact.data)
    assert "Counting: 50 B of about 100 B, 7 records" == artifact.description


def test_a_server_that_does_not_answer_neither_delays_nor_fails_a_run() -> None:
    began = time.monotonic()
    with (
        temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}),
        progress_artifact(ProgressCounter(), "Counting", str(uuid4())),
    ):
        pass
    assert time.monotonic() - began < 10


def test_an_error_of_the_run_is_raised_unchanged() -> None:
    with (
        pytest.raises(ValueError, match="mine"),
        temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}),
        progress_artifact(ProgressCounter(), "Counting", str(uuid4())),
    ):
        raise ValueError("mine")
