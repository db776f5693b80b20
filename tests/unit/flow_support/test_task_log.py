"""The log of a flow run: one line for each task would hide the others."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from prefect import flow

from flows.validate import validate
from tasks.flow_support.task_log import wait_logger, without_successful_tasks
from tasks.model.waiting import WaitReport
from tests.support.made_backup import SET

TASK_LOG = logging.getLogger("prefect.task_runs")
COMPLETED = "Finished in state Completed()"


class _Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


@pytest.fixture
def lines() -> Iterator[list[str]]:
    handler, level = _Lines(), TASK_LOG.level
    TASK_LOG.addHandler(handler)
    TASK_LOG.setLevel(logging.INFO)
    yield handler.texts
    TASK_LOG.setLevel(level)
    TASK_LOG.removeHandler(handler)


def test_tasks_of_a_run_that_completed_are_not_in_its_log(lines: list[str], client: Any, repository_name: str) -> None:
    state = validate(SET, repository_name, return_state=True)

    assert state.is_completed(), state
    assert [] == lines


def test_other_lines_of_the_run_and_all_lines_of_other_runs_are(lines: list[str]) -> None:
    ours, others = {"flow_run_id": str(uuid4())}, {"flow_run_id": str(uuid4())}
    with without_successful_tasks(ours["flow_run_id"]):
        TASK_LOG.info(COMPLETED, extra=ours)
        TASK_LOG.info("Finished in state Damaged('orders-3')", extra=ours)
        TASK_LOG.info(COMPLETED, extra=others)
    TASK_LOG.info(COMPLETED, extra=ours)

    assert ["Finished in state Damaged('orders-3')", COMPLETED, COMPLETED] == lines


def test_a_wait_is_in_the_log_of_the_flow_although_a_thread_reports_it(
    client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    @flow
    def waiting() -> None:
        report = wait_logger()
        thread = threading.Thread(target=report, args=(WaitReport("kafka:9092", 5.2, "connection refused"),))
        thread.start()
        thread.join()

    with caplog.at_level(logging.WARNING):
        waiting()

    [record] = [one for one in caplog.records if "kafka:9092" in one.getMessage()]
    assert "waiting for kafka:9092 since 5 s: connection refused" == record.getMessage()
    assert "prefect.flow_runs" == record.name
    assert getattr(record, "flow_run_id", None)
