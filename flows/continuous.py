"""The flow that backs up continuously."""

from __future__ import annotations

from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State
from pydantic import Field

from flows.parameters import (
    ALL_TOPICS,
    DEFAULT_BACKUP_OPTIONS,
    BackupOptionsParam,
    BackupSetName,
    RepositoryName,
    SourceCluster,
    TopicsParam,
    form_field,
)
from tasks.continuous import back_up_cycle
from tasks.engine.options import CYCLE_MS, Duration
from tasks.flow_support.continuous_report import report_cycle, report_end
from tasks.flow_support.continuous_work import open_continuous
from tasks.flow_support.fan_out import THREADS
from tasks.flow_support.run_names import run_name

CycleSeconds = Annotated[
    int,
    Field(ge=1, le=86_400),
    form_field(
        "Cycle", "Seconds from the begin of one cycle to the begin of the next. Each cycle with news is a point."
    ),
]
RunFor = Annotated[
    Duration | None,
    form_field("Run for", "Time after which the run ends, for example 24h. Empty means that only a cancel ends it."),
]


@flow(
    name="continuous-backup",
    flow_run_name=run_name,
    task_runner=THREADS,
    persist_result=False,
)
def continuous_backup(
    backup_id: BackupSetName,
    source: SourceCluster,
    repository: RepositoryName,
    topics: TopicsParam = ALL_TOPICS,
    options: BackupOptionsParam = DEFAULT_BACKUP_OPTIONS,
    cycle_seconds: CycleSeconds = CYCLE_MS // 1000,
    run_for: RunFor = None,
) -> State[Any]:
    """Make a restore point of everything new every few seconds, until the run is cancelled or its time is over.

    Each cycle that has news is a task. Without news there is a point every 15 minutes. The first run of a set reads
    everything before. If another run holds the backup set, this run waits and goes on where that one ends. When it is
    cancelled, the open cycle commits what it has read.
    """
    with open_continuous(
        backup_id, source, repository, topics, options, cycle_s=cycle_seconds, run_for=run_for
    ) as cycles:
        for work in cycles:
            taken = back_up_cycle.submit(work, options.max_concurrent_partitions)
            report_cycle(work, taken.result(raise_on_failure=False))
        return report_end(cycles)
