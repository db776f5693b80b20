"""The flow that restores a point, the flow that only shows what a restore would do, and the text of the consent to a
purge in the form of Prefect's UI."""

from __future__ import annotations

from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows.parameters import (
    ALL_TOPICS,
    DEFAULT_RESTORE_OPTIONS,
    PointParam,
    RepositoryName,
    RestoreOptionsParam,
    TargetCluster,
    ThawParam,
    TopicsParam,
    form_field,
)
from tasks.flow_support.archived_wait import await_objects, chosen_point, end_wait
from tasks.flow_support.fan_out import THREADS, fan_out
from tasks.flow_support.restore_report import report_preview, report_replayed_bin, report_restore, report_restore_plan
from tasks.flow_support.restore_work import open_preview, open_restore, require_consent
from tasks.flow_support.run_names import run_name
from tasks.restore import ask_for_objects, finish_topics, plan_restore, prepare_topics, replay_bin, verify_targets

Consent = Annotated[
    bool,
    form_field(
        "Purge confirmed",
        "Confirms the option Purge topics, which deletes all records of the target topics.",
    ),
]


New = Annotated[
    bool,
    form_field(
        "New restore",
        "Leaves an unfinished restore of the same as it is, and begins another one. Otherwise it is continued.",
    ),
]


@flow(name="validate-restore", flow_run_name=run_name, task_runner=THREADS, persist_result=False)
def validate_restore(
    backup_id: PointParam,
    target: TargetCluster,
    repository: RepositoryName,
    topics: TopicsParam = ALL_TOPICS,
    options: RestoreOptionsParam = DEFAULT_RESTORE_OPTIONS,
) -> State[Any]:
    """Show what a restore would do, and every reason against it. Nothing is changed.

    If the restore would be refused, the run ends as `Failed`. Its artifacts contain the partitions that would be
    written and the findings, as many as a browser can show.
    """
    with open_preview(backup_id, target, repository, topics, options) as work:
        planned = plan_restore.submit(work, topics, options, is_preview=True)
        return report_preview(work, planned.result())


@flow(name="restore", flow_run_name=run_name, task_runner=THREADS, persist_result=False)
def restore(
    backup_id: PointParam,
    target: TargetCluster,
    repository: RepositoryName,
    topics: TopicsParam = ALL_TOPICS,
    options: RestoreOptionsParam = DEFAULT_RESTORE_OPTIONS,
    purge_confirmed: Consent = False,
    thaw: ThawParam = None,
    new: New = False,
) -> State[Any]:
    """Restore a point into new or empty topics, verify them, write group positions if configured, and give the topics
    their settings.

    The flow plans, prepares the topics, replays every partition, several at the same time, verifies and finishes. If
    the restore is refused, nothing is changed and the run ends as `Failed`. If a target differs from the backup, the
    run also ends as `Failed`. If the point does not contain all data of the topics, or a position could not be written,
    it ends as `Partial`. Settings that would delete restored records wait for `kafka-backup finalize`.

    With `thaw`, a restore that needs archived objects asks the store for them, and the run ends its process until the
    time of its next check. Then it starts again, with the same point, which stays pinned.

    A restore that ended early is continued by a run with the same parameters, or by the command: what the topics
    contain is read back, and only the rest is written. So a run that Prefect starts again continues too. With `new`
    the unfinished restore stays as it is, and another one begins, which needs other topics, or `purge_topics`.
    """
    if options.dry_run:
        return validate_restore.fn(backup_id, target, repository, topics, options)
    require_consent(options, is_given=purge_confirmed)
    with open_restore(chosen_point(backup_id), target, repository, topics, options, is_new=new) as work:
        planning = plan_restore.submit(work, topics, options)
        planned = planning.result()
        if thaw is not None and planned.needs_only_objects:
            asked = ask_for_objects.submit(work, topics, options, thaw).result()
            return await_objects(work.repository, work.point, thaw, asked)
        end_wait(work.repository, work.point)
        if planned.is_refused:
            return report_preview(work, planned)
        report_restore_plan(work, planned)
        preparing = prepare_topics.submit(work, return_state=False, wait_for=[planning])
        preparing.result()
        replayed = fan_out(
            lambda bin_task: replay_bin.submit(work, bin_task, return_state=False, wait_for=[preparing]),
            planned.bin_tasks,
            width=options.max_concurrent_partitions,
            finished=lambda bin_task: report_replayed_bin(work, planned, bin_task),
        )
        verified = verify_targets.submit(work, replayed.futures, return_state=False)
        finished = finish_topics.submit(work, verified, return_state=False)
        return report_restore(work, planned, replayed.results, verified.result(), finished.result())
