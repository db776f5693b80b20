"""Which tasks are tried again, and when. The engine retries brokers and stores by itself, each against a deadline; a
task is for what is left: a deadline that passed, work that was lost."""

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
"""Short, because a task that waits for its turn hears nothing of a cancellation."""


def repeatable_task(name: str, *, run_name: str | None = None) -> Callable[[Callable[P, R]], Task[P, R]]:
    """A task that may run several times: what an earlier attempt left behind counts for nothing."""
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
    """A task that changes a cluster, and must not run again after it has begun to."""
    return task(name=name, task_run_name=run_name or name, retries=0, persist_result=False, cache_policy=NO_CACHE)


def should_retry(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Errors of ours say by themselves whether waiting helps: no one's permission comes back by trying."""
    error = state.result(raise_on_failure=False)
    return error.retryable if isinstance(error, KafkaBackupError) else True


def is_last_attempt() -> bool:
    """Whether the task that calls this has no retry left."""
    context = TaskRunContext.get()
    return context is None or context.task_run.run_count > context.task.retries
