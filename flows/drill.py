"""The flow that proves a backup: it restores a point into scratch topics, compares them with the backup, and removes
them again."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows.parameters import RepositoryName, form_field
from tasks.drill import (
    check_by_owner,
    clean_scratch,
    compare_bin,
    compare_bounds,
    compare_positions,
    compare_settings,
    plan_drill,
    restore_bin,
    store_report,
    verify_log,
)
from tasks.engine.options import DrillOptions
from tasks.flow_support.drill_report import report_drill, report_drill_plan, report_restored_bin
from tasks.flow_support.drill_work import OpenDrill, PlannedDrill, open_drill
from tasks.flow_support.fan_out import THREADS, fan_out
from tasks.flow_support.run_names import run_name
from tasks.flow_support.wiring import now_ms

DrilledSet = Annotated[str, form_field("Backup set", "The backup set whose points are drilled.")]
DrillCluster = Annotated[
    str, form_field("Scratch cluster", "Name of the KafkaCluster block of the cluster with the scratch topics.")
]
DrillOptionsParam = Annotated[
    DrillOptions, form_field("Options", "What is restored, how it is compared, and the objectives.")
]
SigningKeyName = Annotated[
    str | None,
    form_field("Signing key", "Name of the Secret block with the private key that signs the report. Empty: unsigned."),
]
DEFAULT_DRILL_OPTIONS = DrillOptions()


@flow(name="restore-drill", flow_run_name=run_name, task_runner=THREADS, persist_result=False)
def restore_drill(
    backup_id: DrilledSet,
    target: DrillCluster,
    repository: RepositoryName,
    options: DrillOptionsParam = DEFAULT_DRILL_OPTIONS,
    signing_key: SigningKeyName = None,
) -> State[Any]:
    """Restore a point into scratch topics, compare every partition by a second reader, and remove the topics again.

    The flow makes scratch topics, restores every partition, writes the translated group positions into scratch groups,
    compares records, positions and settings with the backup, runs the owner's checks, and removes exactly what it has
    made, also after a failure or a cancellation. Then it stores a report in the repository. It ends as `Failed` if
    something differs, if nothing was compared, if an objective was missed, or if something could not be removed.
    """
    with open_drill(backup_id, target, repository, options, signing_key) as drill:
        new = plan_drill.submit(drill.work).result()
        planned, drill.found.objects = new.planned, new.objects
        report_drill_plan(drill.work, planned)
        with drill.found.noting_errors(), drill.ending_tasks():  # or tasks would go on into removed topics
            _restore_and_compare(drill, planned)
        drill.found.target_cluster_id = planned.plan.cluster_id
        drill.found.clean_up = clean_scratch.submit(drill.work).result()
        drill.found.times = replace(drill.found.times, cleaned_up_ms=now_ms())
        result = drill.found.result(planned.data)
        stored = store_report.submit(drill.work, result, signing_key).result()
    return report_drill(drill.work, result, stored)


def _restore_and_compare(drill: OpenDrill, planned: PlannedDrill) -> None:
    work, found, width = drill.work, drill.found, drill.work.options.max_concurrent_partitions
    restored = fan_out(
        lambda bin_task: drill.watched(restore_bin.submit(work, planned, bin_task, return_state=False)),
        planned.bin_tasks,
        width=width,
        finished=lambda one: report_restored_bin(work, planned, one),
    )
    first_ms = [one.first_record_ms for one in restored.results if one.first_record_ms is not None]
    found.times = replace(found.times, first_record_ms=min(first_ms, default=None), data_complete_ms=now_ms())
    found.groups += compare_positions.submit(work, planned, return_state=False, wait_for=restored.futures).result()
    found.times = replace(found.times, groups_ready_ms=now_ms())
    bounds = compare_bounds.submit(work, planned, return_state=False, wait_for=restored.futures)
    found.problems += bounds.result()
    compared = fan_out(
        lambda bin_task: drill.watched(
            compare_bin.submit(work, planned, bin_task, return_state=False, wait_for=[bounds])
        ),
        planned.bin_tasks,
        width=width,
    )
    found.partitions += [one for bin_ in compared.results for one in bin_.partitions]
    found.log_chain = verify_log.submit(work, return_state=False, wait_for=compared.futures).result()
    if work.options.checks:
        found.checks += check_by_owner.submit(work, planned, return_state=False, wait_for=compared.futures).result()
    found.settings += compare_settings.submit(work, planned, return_state=False, wait_for=compared.futures).result()
    found.times = replace(found.times, verified_ms=now_ms())
