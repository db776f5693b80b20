"""Which tasks are retried, and when.

The engine retries requests to brokers and stores by itself, each until a deadline. Prefect retries a task for the other
reasons: a deadline that has passed, or a worker that was lost.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import TaskRunContext

from tasks.model.errors import KafkaBackupError

P = ParamSpec("P")
R = TypeVar("R")

RETRIES = 2
DELAYS_S = [1.0, 5.0]
"""Short, because a task that waits for its retry does not notice that its flow run is cancelled."""


def repeatable_task(name: str, *, run_name: str | None = None) -> Callable[[Callable[P, R]], Task[P, R]]:
    """A task that may run several times, because what a failed attempt leaves behind has no effect."""
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
    """A task that is not retried, because it changes a cluster."""
    return task(name=name, task_run_name=run_name or name, retries=0, persist_result=False, cache_policy=NO_CACHE)


def should_retry(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Whether a retry may succeed. Our errors know it (`retryable`): a missing permission, for example, stays missing.
    Every other error is retried."""
    error = state.result(raise_on_failure=False)
    return error.retryable if isinstance(error, KafkaBackupError) else True


def is_last_attempt() -> bool:
    """Whether the current task has no retry left. True outside of a task run."""
    context = TaskRunContext.get()
    return context is None or context.task_run.run_count > context.task.retries
