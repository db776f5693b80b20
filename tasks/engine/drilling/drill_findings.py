"""What a drill has found out so far, as far as it came, and the result that is made of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from tasks.engine.drilling.drill_result import (
    ChosenData,
    CleanUp,
    DrillResult,
    DrillTimes,
    GroupComparison,
    Objectives,
    OwnerCheck,
    PartitionComparison,
    SettingsComparison,
)
from tasks.engine.options import DrillOptions, duration_ms
from tasks.model.errors import InterruptedRunError, KafkaBackupError, LockedError
from tasks.repository.entries import PointEntry


@dataclass(slots=True, kw_only=True)
class DrillFindings:
    """Filled step by step. `newest_ms` is the time of the set's newest point in Unix milliseconds. Not thread-safe."""

    drill: str
    options: DrillOptions
    point: PointEntry
    newest_ms: int
    times: DrillTimes
    data: ChosenData | None = None
    target_cluster_id: str | None = None
    partitions: list[PartitionComparison] = field(default_factory=list)
    settings: list[SettingsComparison] = field(default_factory=list)
    groups: list[GroupComparison] = field(default_factory=list)
    checks: list[OwnerCheck] = field(default_factory=list)
    clean_up: CleanUp | None = None
    problems: list[str] = field(default_factory=list)
    earlier: Mapping[str, CleanUp] = field(default_factory=dict)
    log_chain: str | None = None
    objects: Mapping[str, str] = field(default_factory=dict)

    @contextmanager
    def noting_errors(self) -> Iterator[None]:
        """An error of the body becomes a problem of the drill. Raises `InterruptedRunError` and `LockedError`."""
        try:
            yield
        except (InterruptedRunError, LockedError):
            raise
        except KafkaBackupError as error:
            self.problems.append(str(error))

    def result(self, data: ChosenData) -> DrillResult:
        """The result of the drill of these data."""
        times, options = self.times, self.options
        ready_ms = times.groups_ready_ms
        return DrillResult(
            drill=self.drill,
            data=data,
            repository_id=self.point.repository_id,
            source_cluster_id=self.point.cluster_id,
            target_cluster_id=self.target_cluster_id,
            scratch_prefix=options.scratch_prefix,
            partitions=tuple(self.partitions),
            settings=tuple(self.settings),
            groups=tuple(self.groups),
            checks=tuple(self.checks),
            clean_up=self.clean_up,
            times=times,
            objectives=Objectives(
                rto_target_s=_seconds(options.rto),
                rto_s=None if ready_ms is None else (ready_ms - times.started_ms) / 1000,
                rpo_target_s=_seconds(options.rpo),
                rpo_s=(times.started_ms - self.newest_ms) / 1000,
            ),
            problems=tuple(self.problems),
            earlier=self.earlier,
            log_chain=self.log_chain,
            objects=self.objects,
        )


def _seconds(duration: str | None) -> float | None:
    return None if duration is None else duration_ms(duration) / 1000
