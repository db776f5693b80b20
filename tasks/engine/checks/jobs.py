"""The job whose needs are checked: a backup or a restore, as a file or a flow describes it. Values only."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.engine.options import BackupOptions, TopicSelection
from tasks.engine.target.restore_plan import RestoreRequest
from tasks.repository.points import PointReference


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupJob:
    """A backup of the selected topics to a set."""

    set_name: str
    topics: TopicSelection
    options: BackupOptions

    @property
    def workers(self) -> int:
        """The number of partitions that are read side by side."""
        return self.options.max_concurrent_partitions


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreJob:
    """A restore of a point."""

    reference: PointReference
    request: RestoreRequest

    @property
    def workers(self) -> int:
        """The number of partitions that are written side by side."""
        return self.request.options.max_concurrent_partitions


CheckJob = BackupJob | RestoreJob


def set_name_of(job: CheckJob) -> str:
    """The backup set that the job writes or reads."""
    return job.set_name if isinstance(job, BackupJob) else job.reference.set_name
