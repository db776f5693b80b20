"""Which failed tasks are retried, and which failed partitions a backup leaves out."""

from __future__ import annotations

from typing import Any, cast

import pytest
from prefect import Task
from prefect.client.schemas.objects import TaskRun
from prefect.states import Failed

from tasks.backup import capture_bin, commit_backup, plan_backup
from tasks.engine.capture.capture_result import CaptureFailure
from tasks.flow_support import retries
from tasks.flow_support.retries import failures_or_retry, should_retry
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
from tasks.model.partition import Partition
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


def test_a_task_is_retried_if_what_a_failed_attempt_left_has_no_effect_or_is_read_back() -> None:
    repeatable = (plan_backup, capture_bin, commit_backup, check_bin, verify_targets, prepare_topics, replay_bin)
    assert ({0}, {2}) == ({finish_topics.retries}, {task.retries for task in repeatable})


def test_a_bin_is_captured_again_while_a_failure_can_pass_and_an_attempt_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    orders = Partition("orders", "A" * 22, 0)
    denied = CaptureFailure(source=orders, reason="no permission", is_denied=True)
    slow = CaptureFailure(source=orders, reason="no answer in time", is_passing=True)
    monkeypatch.setattr(retries, "_is_last_attempt", lambda: False)
    with pytest.raises(BrokerUnavailableError, match="no answer in time"):
        failures_or_retry([denied, slow])
    assert ["no permission"] == failures_or_retry([denied])
    monkeypatch.setattr(retries, "_is_last_attempt", lambda: True)
    assert ["no permission", "no answer in time"] == failures_or_retry([denied, slow])
