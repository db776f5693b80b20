"""The tasks of a validation. Each receives names and numbers, runs one step of the engine, and returns a small
value."""

from __future__ import annotations

import time
from collections.abc import Sequence

from tasks.engine.options import ThawOptions
from tasks.engine.run_context import RunContext
from tasks.engine.thaw_objects import Thawed, thaw_data
from tasks.engine.validate import ValidationResult, check_runs, verdict
from tasks.engine.validation.objects import check_objects
from tasks.flow_support.bin_tasks import BinTask, bin_tasks_of
from tasks.flow_support.flow_run_cache import flow_run_cache
from tasks.flow_support.retries import repeatable_task
from tasks.flow_support.states import with_state_name
from tasks.flow_support.validation_work import CheckedBin, PlannedValidation, ValidationWork, bins, inspection
from tasks.flow_support.wiring import archive, repository
from tasks.model.partition import Partition


@repeatable_task("inspect")
def inspect_point(work: ValidationWork) -> PlannedValidation:
    """Read the log, and the objects of the point except its data. Distributes the data objects over bins."""
    found = inspection(work)
    bin_tasks = bin_tasks_of([{line.source for key in keys for line, _ in found.named[key]} for keys in bins(work)])
    return PlannedValidation(bin_tasks, len(found.named), found.point.totals.log_bytes)


@repeatable_task("ask for archived objects")
def ask_for_objects(work: ValidationWork, thaw: ThawOptions) -> Thawed:
    """Ask the store for the archived objects of the point, except those that are on their way back."""
    context = flow_run_cache(work.flow_run).run_context(repository(work.flow_run, work.repository))
    needed = inspection(work).named.keys()
    return thaw_data(context, archive(work.flow_run, work.repository), needed, days=thaw.days, tier=thaw.tier)


@repeatable_task("check", run_name="{bin_task.label}")
def check_bin(work: ValidationWork, bin_task: BinTask) -> CheckedBin:
    """Check the data objects of one bin. If there are findings, the state of the task is named `Damaged`."""
    began, cache = time.monotonic(), flow_run_cache(work.flow_run)
    named = {key: inspection(work).named[key] for key in bins(work)[bin_task.number]}
    lines = [line for own in named.values() for line, _ in own]
    cache.counter.restart(bin_task.number)

    def progress(partition: Partition, *, records: int, log_bytes: int) -> None:
        cache.counter.add(bin_task.number, records=records, log_bytes=log_bytes)

    opened = repository(work.flow_run, work.repository)
    checked = check_objects(RunContext(repository=opened, stop=cache.stop, progress=progress), named, work.level)
    result = CheckedBin(
        bin_task.number,
        time.monotonic() - began,
        checked,
        records=sum(line.records for line in lines),
        log_bytes=sum(line.log_bytes for line in lines),
    )
    return with_state_name("Damaged", [str(finding) for finding in checked.findings[:1]], result)


@repeatable_task("conclude")
def conclude_validation(work: ValidationWork, checked: Sequence[CheckedBin]) -> ValidationResult:
    """At level `full`, check the plans and lone fragments of the runs. Then make the verdict from all results."""
    cache, opened = flow_run_cache(work.flow_run), repository(work.flow_run, work.repository)
    found = inspection(work)
    runs = check_runs(cache.run_context(opened), found, work.level)
    return verdict(found, work.level, [*(one.checked for one in checked), runs], is_pinned=work.point.is_pinned)
