"""A restore as the repository records it: its plan, its targets and its completed steps. Decides its state, and whether
it can be continued."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from tasks.model.errors import DamagedError, KafkaBackupError, UnsupportedError
from tasks.repository.restores import (
    RestorePlan,
    Step,
    StepDone,
    Targets,
    read_part,
    read_restore_plan,
    restore_parts,
)
from tasks.store.protocol import ObjectStore

RestoreState = Literal[
    "planned",
    "preparing",
    "writing",
    "verifying",
    "failed",
    "waiting for finalize",
    "finished",
    "abandoned",
    "superseded",
]
"""`planned`: only the plan is recorded. `preparing`: the same, while a process holds the restore. `writing`: the target
topics are prepared and can contain a part of the records. `verifying`: all records are written, and the verification,
the group positions or the settings are not complete. `failed`: a target differs from the backup. `waiting for
finalize`: all is done except the settings that would delete records. `superseded`: it did not end, and a later restore
wrote to one of its topics."""


@dataclass(frozen=True, slots=True)
class RecordedRestore:
    """The documents of one restore. `targets` is None if its topics were not prepared. `is_superseded`: a later restore
    wrote to one of its topics, so it cannot be continued."""

    plan: RestorePlan
    targets: Targets | None = None
    steps: Mapping[Step, StepDone] = field(default_factory=dict)
    is_superseded: bool = False

    @property
    def restore(self) -> str:
        """The id of the restore."""
        return self.plan.restore

    @property
    def has_mismatches(self) -> bool:
        """Whether its verification found a target that differs from the backup."""
        return bool(self.report("verified").get("mismatches"))

    @property
    def deferred(self) -> tuple[str, ...]:
        """The target topics whose settings wait for `finalize`."""
        deferred = self.report("settings").get("deferred")
        return tuple(map(str, deferred)) if isinstance(deferred, list) else ()

    @property
    def is_over(self) -> bool:
        """Whether no step is left that a continued restore would take."""
        return "finalized" in self.steps or "abandoned" in self.steps or bool(self.deferred)

    @property
    def is_continuable(self) -> bool:
        """Whether the same restore can be continued."""
        return not (self.is_over or self.has_mismatches or self.is_superseded)

    @property
    def records_written(self) -> int | None:
        """How many records it has written; None if only the log ends of the target show it."""
        if "replayed" in self.steps:
            return sum(copy.records for copy in self.plan.partitions)
        return 0 if self.targets is None else None

    def report(self, step: Step) -> Mapping[str, object]:
        """The result of a step. Empty if the step is not recorded."""
        return self.steps[step].report if step in self.steps else {}

    def state(self, *, is_held: bool = False) -> RestoreState:
        """The state of the restore. `is_held`: a process holds its lease."""
        if "abandoned" in self.steps:
            return "abandoned"
        if "finalized" in self.steps:
            return "finished"
        if self.deferred:
            return "waiting for finalize"
        if self.is_superseded:
            return "superseded"
        if self.has_mismatches:
            return "failed"
        if "replayed" in self.steps:
            return "verifying"
        if self.targets is not None:
            return "writing"
        return "preparing" if is_held else "planned"


def read_recorded(store: ObjectStore, restore: str) -> RecordedRestore:
    """Read a restore. Raises `NotFoundError` if there is no such restore, `DamagedError`, and `UnsupportedError`."""
    plan = read_restore_plan(store, restore)
    names: tuple[Step, ...] = get_args(Step)
    found = {name: read_part(store, restore, name, StepDone) for name in names}
    steps = {name: done for name, done in found.items() if done is not None}
    return RecordedRestore(plan, read_part(store, restore, "targets", Targets), steps)


def recorded_restores(
    store: ObjectStore, *, cluster_id: str | None = None, unreadable: Callable[[str, KafkaBackupError], None]
) -> Iterator[RecordedRestore]:
    """All restores, newest first, each with `is_superseded`. With `cluster_id` only those into that cluster.

    Restores that have ended are read only as far as older ones need it, so this costs little if nobody takes those.
    `unreadable` is called with a restore whose documents are damaged, or of a later version, and with the error.
    """
    written: dict[str, set[str]] = {}
    for restore in sorted(restore_parts(store), reverse=True):
        try:
            recorded = read_recorded(store, restore)
        except (DamagedError, UnsupportedError) as error:
            unreadable(restore, error)
            continue
        if cluster_id not in (None, recorded.plan.cluster_id):
            continue
        topics = {topic.target for topic in recorded.plan.topics}
        later = written.setdefault(recorded.plan.cluster_id, set())
        yield replace(recorded, is_superseded=bool(topics & later) and not recorded.is_over)
        if recorded.targets is not None and "abandoned" not in recorded.steps:
            later |= topics


def unfinished_restores(store: ObjectStore, cluster_id: str) -> Iterator[RecordedRestore]:
    """The restores into this cluster that have not ended, newest first. Reads nothing but a listing if there are none.
    A restore whose documents are damaged, or of a later version, is left out."""
    parts = restore_parts(store)
    left = sum(not found & {"finalized", "abandoned"} for found in parts.values())
    restores = recorded_restores(store, cluster_id=cluster_id, unreadable=lambda restore, error: None) if left else ()
    for recorded in restores:
        if not recorded.is_over:
            yield recorded


def overlap(recorded: RecordedRestore, targets: Sequence[str]) -> list[str]:
    """The target topics that the restore and these have in common. Pure."""
    return sorted({topic.target for topic in recorded.plan.topics} & set(targets))
