"""Decides which tasks Prefect retries and when, and whether the failed partitions of a bin are captured again or left
out of the point.

The engine itself retries requests to brokers and stores, each until a deadline. Prefect retries a task for other
reasons: a deadline that has passed, or a worker that was lost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import TaskRunContext

from tasks.engine.capture.capture_result import CaptureFailure
from tasks.model.errors import BrokerUnavailableError, KafkaBackupError

P = ParamSpec("P")
R = TypeVar("R")

RETRIES = 2
DELAYS_S = [1.0, 5.0]
"""The pauses before the retries, in seconds. They are short because a task that waits for its retry does not notice
that its flow run is cancelled."""


def repeatable_task(name: str, *, run_name: str | None = None) -> Callable[[Callable[P, R]], Task[P, R]]:
    """A task that can run several times, because the remains of a failed attempt have no effect, or because the next
    attempt reads them back. It is retried `RETRIES` times."""
    return task(
        name=name,
        task_run_name=run_name or name,
        retries=RETRIES,
        retry_delay_seconds=DELAYS_S,
        retry_jitter_factor=0.5,
        retry_condition_fn=should_retry,
        persist_result=False,
        cache_policy=NO_CACHE,
    )


def one_shot_task(name: str, *, run_name: str | None = None) -> Callable[[Callable[P, R]], Task[P, R]]:
    """A task that Prefect never retries, because what it changes on a cluster is not read back."""
    return task(name=name, task_run_name=run_name or name, retries=0, persist_result=False, cache_policy=NO_CACHE)


def should_retry(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Whether Prefect retries a failed task. An error of this program decides by `retryable`: a missing permission, for
    example, is not retried. All other errors are retried."""
    error = state.result(raise_on_failure=False)
    return error.retryable if isinstance(error, KafkaBackupError) else True


def failures_or_retry(failures: Sequence[CaptureFailure]) -> list[str]:
    """The reasons of the failures of a bin. The point is made without these partitions.

    Raises `BrokerUnavailableError` if a failure can pass and the current task run is not its last attempt, so that
    Prefect retries the task.
    """
    passing = [failure for failure in failures if failure.is_passing]
    if passing and not _is_last_attempt():
        raise BrokerUnavailableError(passing[0].reason)
    return [failure.reason for failure in failures]


def is_retry() -> bool:
    """Whether an earlier attempt of the current task run failed. False outside of a task run."""
    context = TaskRunContext.get()
    return context is not None and context.task_run.run_count > 1


def _is_last_attempt() -> bool:
    """Whether the current task run has no retry left. True outside of a task run."""
    context = TaskRunContext.get()
    return context is None or context.task_run.run_count > context.task.retries
