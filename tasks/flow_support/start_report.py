"""The first line of a flow run's log: how much there is to do."""

from __future__ import annotations

from prefect.logging import get_run_logger

from tasks.flow_support.flow_run_cache import flow_run_cache
from tasks.reports.figures import size_text


def report_start(flow_run: str, log_bytes: int, sentence: str) -> None:
    """Log the sentence with the size, and make the size the total of the progress artifact."""
    flow_run_cache(flow_run).counter.total_bytes = log_bytes
    get_run_logger().info("%s, about %s.", sentence, size_text(log_bytes))
