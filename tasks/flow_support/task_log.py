"""Keeps the log of a flow run short, because a run can have hundreds of tasks."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

_TASK_LOG = logging.getLogger("prefect.task_runs")


@contextmanager
def without_successful_tasks(flow_run: str) -> Iterator[None]:
    """While the body runs, no line is logged for a task of the flow run that ends as Completed.

    Each line would be sent to the server and stored there, and hundreds of them would hide the others. Lines about
    other states remain.
    """
    quiet = _WithoutCompleted(flow_run)
    _TASK_LOG.addFilter(quiet)
    try:
        yield
    finally:
        _TASK_LOG.removeFilter(quiet)


class _WithoutCompleted(logging.Filter):
    def __init__(self, flow_run: str) -> None:
        super().__init__()
        self._flow_run = flow_run

    def filter(self, record: logging.LogRecord) -> bool:
        is_ours = str(getattr(record, "flow_run_id", None)) == self._flow_run
        return not (is_ours and record.getMessage() == "Finished in state Completed()")
