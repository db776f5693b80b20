"""A continuous backup by the command `kafka-backup backup`: a line for each restore point, until a signal ends it."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.cli.exit_codes import OK
from tasks.cli.inputs import log_notes
from tasks.cli.session import Session
from tasks.engine.backup_steps import FinishedRun
from tasks.engine.commit.completeness import missing_positions
from tasks.engine.continuous import Cycle, CycleReports, back_up_continuously, stopped_after_grace
from tasks.engine.run_context import ClusterContext
from tasks.engine.source.snapshot_plan import SnapshotRequest
from tasks.model.errors import KafkaBackupError
from tasks.reports.backup import (
    failed_cycle_text,
    finished_run_text,
    full_run_text,
    notable_events,
    point_document,
)
from tasks.reports.figures import point_line, point_notes
from tasks.repository.plans import Plan


def run_continuous(session: Session, context: ClusterContext, request: SnapshotRequest, *, cycle_ms: int) -> int:
    """Back up until the first SIGINT or SIGTERM. Then the open cycle commits what it has read. Returns the exit code.

    With `--json` each restore point is one line of JSON.
    """
    session.stops_gracefully = True
    output = _Output(session)
    session.log(
        f"{request.set_name}: continuous backup, a cycle every {cycle_ms / 1000:g} s. SIGTERM or Ctrl-C ends it."
    )
    with stopped_after_grace(session.stop, context.stop):
        back_up_continuously(
            context,
            request,
            cycle_ms=cycle_ms,
            ending=session.stop,
            workers=request.options.max_concurrent_partitions,
            reports=CycleReports(
                waiting=output.waiting,
                planned=output.planned,
                committed=output.committed,
                finished=output.finished,
                failed=output.failed,
            ),
        )
    session.log(f"{request.set_name}: ended. The next run goes on where this one ended.")
    return OK


@dataclass
class _Output:
    """Prints what happens. Notes that the last cycle had too are not printed again."""

    session: Session
    notes: tuple[str, ...] = ()

    def waiting(self, owner: str) -> None:
        self.session.log(f"Another writer ({owner}) has the set's lease. This one takes over when it ends.")

    def planned(self, plan: Plan) -> None:
        if plan.kind == "snapshot":
            self.session.log(full_run_text(plan))
            log_notes(self.session, plan.notes)

    def finished(self, run: FinishedRun) -> None:
        self.session.log(finished_run_text(run))

    def failed(self, error: KafkaBackupError) -> None:
        self.session.warn(f"kafka-backup: {failed_cycle_text(error)}")

    def committed(self, cycle: Cycle) -> None:
        entry, groups = cycle.point.entry, missing_positions(cycle.point)
        for _, sentence in notable_events(entry):
            self.session.warn(sentence)
        notes = (*point_notes(entry), *groups.notes())
        for note in notes:
            if note not in self.notes:
                self.session.warn(note)
        self.notes = notes
        self.session.print(point_line(entry, cycle.records))
        self.session.print_json_line(point_document(entry, groups, cycle.records))
