"""Flows that restore, or say what a restore would do."""

from __future__ import annotations

from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows.parameters import (
    ALL_TOPICS,
    USUAL_RESTORE,
    HowToRestore,
    PointToRead,
    RepositoryName,
    TargetCluster,
    TopicsToTake,
    shown_as,
)
from tasks.announce import tell_of_preview, tell_of_replay, tell_of_restore, tell_of_restore_plan
from tasks.flow_support.fan_out import THREADS, fan_out
from tasks.flow_support.states import run_name
from tasks.restore import (
    finish_topics,
    looking_at,
    plan_restore,
    prepare_topics,
    replay_part,
    require_consent,
    restoring,
    verify_targets,
)

Consent = Annotated[
    bool,
    shown_as("Purge confirmed", "Consent to purge_topics, which deletes what the target topics hold."),
]


@flow(name="validate-restore", flow_run_name=run_name, task_runner=THREADS, persist_result=False)
def validate_restore(
    backup_id: PointToRead,
    target: TargetCluster,
    repository: RepositoryName,
    topics: TopicsToTake = ALL_TOPICS,
    options: HowToRestore = USUAL_RESTORE,
) -> State[Any]:
    """Say what a restore would do and everything that speaks against it; change nothing.

    A restore that would be refused ends the run as `Failed`, with all reasons in its artifacts.
    """
    with looking_at(backup_id, target, repository) as work:
        planned = plan_restore.submit(work, topics, options, is_preview=True)
        return tell_of_preview(work, planned.result())


@flow(name="restore", flow_run_name=run_name, task_runner=THREADS, persist_result=False)
def restore(
    backup_id: PointToRead,
    target: TargetCluster,
    repository: RepositoryName,
    topics: TopicsToTake = ALL_TOPICS,
    options: HowToRestore = USUAL_RESTORE,
    purge_confirmed: Consent = False,
) -> State[Any]:
    """Restore a point into new or empty topics, verify them, then give them group positions and their own settings.

    Plan, prepare the topics, replay every partition, a few side by side, verify, finish. A restore that is refused or
    does not verify ends the run as `Failed`, one whose positions could not all be written as `Partial`. A failed
    restore is not continued: its topics stay as they are, and a new restore needs others, or `purge_topics`.
    """
    if options.dry_run:
        return validate_restore.fn(backup_id, target, repository, topics, options)
    require_consent(options, is_given=purge_confirmed)
    with restoring(backup_id, target, repository) as work:
        planning = plan_restore.submit(work, topics, options)
        planned = planning.result()
        if planned.is_refused:
            return tell_of_preview(work, planned)
        tell_of_restore_plan(work, planned)
        preparing = prepare_topics.submit(work, return_state=False, wait_for=[planning])
        preparing.result()
        replayed = fan_out(
            lambda part: replay_part.submit(work, part, return_state=False, wait_for=[preparing]),
            planned.parts,
            width=options.max_concurrent_partitions,
            finished=lambda part: tell_of_replay(work, planned, part),
        )
        verified = verify_targets.submit(work, replayed, return_state=False)
        finished = finish_topics.submit(work, verified, return_state=False)
        times = [one.result() for one in replayed]
        return tell_of_restore(work, planned, times, verified.result(), finished.result())
