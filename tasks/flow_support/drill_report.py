"""Reports a drill by a flow: log lines, progress, artifacts, events, and the state in which the run ends."""

from __future__ import annotations

from typing import Any

from prefect.client.schemas.objects import State

from tasks.engine.drilling.drill_result import DrillResult
from tasks.engine.evidence.store_evidence import StoredEvidence
from tasks.flow_support.artifacts import artifact_key, markdown, publish, table
from tasks.flow_support.drill_work import DrillWork, PlannedDrill, RestoredBin
from tasks.flow_support.flow_run_cache import flow_run_cache
from tasks.flow_support.overdue_report import report_overdue_drills
from tasks.flow_support.start_report import report_start
from tasks.flow_support.states import completed, emit_of_run, failed, report_event
from tasks.reports.drill import chosen_text, drill_headline, drill_summary, evidence_line, partition_rows
from tasks.reports.evidence import report_markdown


def report_drill_plan(work: DrillWork, planned: PlannedDrill) -> None:
    """Log what is drilled, and set the total of the progress."""
    report_start(work.flow_run, planned.data.log_bytes, f"drill {work.drill} of {chosen_text(planned.data)}")


def report_restored_bin(work: DrillWork, planned: PlannedDrill, restored: RestoredBin) -> None:
    """Set the progress of the bin's partitions to their whole size, whichever process the task ran in."""
    for index in planned.plan.bins[restored.number]:
        copy = planned.plan.partitions[index]
        flow_run_cache(work.flow_run).counter.set_final(copy.source, records=copy.records, log_bytes=copy.log_bytes)


def report_drill(work: DrillWork, result: DrillResult, stored: StoredEvidence) -> State[Any]:
    """Publish the artifacts of a drill: a row for each partition, a summary, and the evidence. Emit its event. Returns
    the run's final state: failed if the drill failed."""
    cache = flow_run_cache(work.flow_run)
    cache.counter.is_done = True
    key = artifact_key("restore-drill", work.set_name)
    name = f"{result.data.set_name}@{result.data.point}"
    publish(
        work.flow_run,
        table(f"{key}-partitions", partition_rows(result), f"The partitions compared with {name}"),
        markdown(key, drill_summary(result), f"Drill of {name}"),
        markdown(
            f"{key}-evidence",
            f"{report_markdown(stored.report, stored.sha256)}\n\n{evidence_line(stored)}",
            f"Evidence of the drill of {name}",
        ),
    )
    report_overdue_drills(work.flow_run, work.repository, work.set_name)
    headline = drill_headline(result)
    numbers = {
        "set": result.data.set_name,
        "point": result.data.point,
        "drill": result.drill,
        "rto_s": result.objectives.rto_s,
        "rpo_s": result.objectives.rpo_s,
        "compared_records": sum(one.compared_records for one in result.partitions),
        "failures": list(result.failures[:20]),
        "report": stored.keys[0],
        "report_sha256": stored.sha256,
    }
    if result.verdict == "passed":
        emit_of_run("kafka-backup.drill.passed", headline, numbers)
        return completed(headline)
    report_event("kafka-backup.drill.failed", headline, numbers)
    return failed(headline)
