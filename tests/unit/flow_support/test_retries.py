"""Which failed tasks are retried."""

from __future__ import annotations

from typing import Any, cast

import pytest
from prefect import Task
from prefect.client.schemas.objects import TaskRun
from prefect.states import Failed

from tasks.backup import capture_bin, commit_backup, plan_backup
from tasks.flow_support.retries import should_retry
from tasks.model.errors import (
    AccessError,
    BrokerUnavailableError,
    ConfigError,
    InterruptedRunError,
    LockedError,
    OutcomeUnknownError,
    PreconditionError,
    StoreUnavailableError,
)
from tasks.restore import finish_topics, prepare_topics, replay_bin, verify_targets
from tasks.validate import check_bin

NOTHING: Any = None


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (StoreUnavailableError("away"), True),
        (OutcomeUnknownError("lost"), True),
        (BrokerUnavailableError("away"), True),
        (OSError("no file descriptors left"), True),
        (AccessError("no"), False),
        (ConfigError("no"), False),
        (PreconditionError("no"), False),
        (LockedError("no"), False),
        (InterruptedRunError("no"), False),
    ],
)
def test_a_task_is_retried_after_an_error_that_may_pass_and_after_no_other(error: Exception, expected: bool) -> None:
    task, run = cast(Task[..., Any], NOTHING), cast(TaskRun, NOTHING)
    assert expected == should_retry(task, run, Failed(data=error))


def test_a_task_that_writes_to_a_cluster_is_never_retried_and_one_that_only_reads_it_is() -> None:
    assert {0} == {task.retries for task in (prepare_topics, replay_bin, finish_topics)}
    assert {2} == {task.retries for task in (plan_backup, capture_bin, commit_backup, check_bin, verify_targets)}
