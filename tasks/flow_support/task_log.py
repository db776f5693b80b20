"""Keeps the log of a flow run short, because a run can have hundreds of tasks. Writes reports of waits and notes about
stores into it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prefect.exceptions import MissingContextError
from prefect.logging import get_run_logger

from tasks.model.waiting import OnWaiting, WaitReport

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


def wait_logger() -> OnWaiting:
    """Writes reports of waits into the log of the flow or task that calls this; outside of one into Python's log.

    The logger is taken now, because reports come from a thread that has no context of a run.
    """
    logger = _current_logger()

    def log(report: WaitReport) -> None:
        logger.warning("%s", report)

    return log


def note_logger() -> Callable[[str], None]:
    """Writes notes about a store into the same log as `wait_logger`, and takes it at the same moment."""
    logger = _current_logger()

    def log(note: str) -> None:
        logger.warning("%s", note)

    return log


def _current_logger() -> logging.Logger | logging.LoggerAdapter[logging.Logger]:
    try:
        return get_run_logger()
    except MissingContextError:
        return logging.getLogger(__name__)


class _WithoutCompleted(logging.Filter):
    def __init__(self, flow_run: str) -> None:
        super().__init__()
        self._flow_run = flow_run

    def filter(self, record: logging.LogRecord) -> bool:
        is_ours = str(getattr(record, "flow_run_id", None)) == self._flow_run
        return not (is_ours and record.getMessage() == "Finished in state Completed()")
