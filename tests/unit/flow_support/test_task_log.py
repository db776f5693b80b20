"""The log of a flow run: one line for each task would hide the others."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from flows.validate import validate
from tasks.flow_support.task_log import without_successful_tasks
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
