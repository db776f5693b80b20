"""The values that a drill returns: what was compared, removed and measured, and the verdict. Values only: no decision
but the verdict is made here. Times are Unix milliseconds, durations are seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tasks.model.counting import counted
from tasks.model.partition import Partition

CompareLevel = Literal["full", "sample", "counts"]
"""full: the contents of every record are compared · sample: those of a stated share of the records · counts: only the
number of records and the bounds."""

Verdict = Literal["passed", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionComparison:
    """One scratch partition beside the backup. `source` is the partition of the backup, `target` the scratch partition.

    `expected_records` are the restorable records of the point, `found_records` those that the second reader has read.
    `compared_records` are those whose contents were compared. The digests are SHA-256 in hex over all compared records
    in order: key, value, headers and timestamp. They are None if no contents were compared. `problem` is the first
    difference in a sentence, None if there is none.
    """

    source: Partition
    target: Partition
    level: CompareLevel
    expected_records: int
    found_records: int
    compared_records: int
    expected_digest: str | None
    found_digest: str | None
    problem: str | None
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsComparison:
    """The settings of one scratch topic beside those of the backup: the number that were compared, and a sentence for
    each that differs."""

    topic: str
    target: str
    compared: int
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupComparison:
    """The translated positions of one group, written into a scratch group and read back: their number, and a sentence
    for each that differs from the definition (the first restored record at or after the committed offset)."""

    group: str
    scratch_group: str
    positions: int
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanUp:
    """What was removed of a drill: scratch topics by name with their topic ids, and scratch groups. `problems` are
    sentences about what could not be removed, `kept` about what has a name of the drill and was made by somebody else.
    `came_back` are the names of topics that a client created again, empty, and that were removed again."""

    topics: Mapping[str, str]
    groups: tuple[str, ...]
    problems: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    came_back: tuple[str, ...] = ()

    @property
    def has_removed(self) -> bool:
        """Whether something was there to remove."""
        return bool(self.topics or self.groups)

    @property
    def summary(self) -> str:
        """What was removed, in a few words."""
        again = (
            f", {counted(len(self.came_back), 'topic')} again after a client had created it" if self.came_back else ""
        )
        return f"{counted(len(self.topics), 'topic')} and {counted(len(self.groups), 'group')} removed{again}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerCheck:
    """The result of a check that the owner of the data has configured: what it printed, shortened, and its verdict."""

    name: str
    kind: Literal["command", "http"]
    verdict: Verdict
    output: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillTimes:
    """When each step was done. None means that the step was not reached. `clock` names the source of the times."""

    requested_ms: int
    started_ms: int
    first_record_ms: int | None = None
    data_complete_ms: int | None = None
    groups_ready_ms: int | None = None
    verified_ms: int | None = None
    cleaned_up_ms: int | None = None
    clock: str = "the clock of the machine that ran the drill"


@dataclass(frozen=True, slots=True, kw_only=True)
class Objectives:
    """The targets and what was achieved. RTO: from the start of the drill until data and groups are ready. RPO: from
    the newest point to the start of the drill. A target is None if none is configured."""

    rto_target_s: float | None
    rto_s: float | None
    rpo_target_s: float | None
    rpo_s: float | None

    @property
    def missed(self) -> tuple[str, ...]:
        """The names of the objectives that were not reached: RTO, RPO."""
        pairs = {"RTO": (self.rto_target_s, self.rto_s), "RPO": (self.rpo_target_s, self.rpo_s)}
        return tuple(
            name
            for name, (target, actual) in pairs.items()
            if target is not None and (actual is None or actual > target)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenData:
    """The point and the topics of a drill. `choice` says in words how the point was chosen. `excluded` are the topics
    of the point that the drill left out, each with the reason. `records` and `log_bytes` are those of the included
    topics. `incomplete` are sentences about what the point itself lacks of them. `tier` is that of the point if it was
    chosen by tiers. Each task of a drill receives these values, so nothing here grows with the number of objects."""

    set_name: str
    point: int
    point_ms: int
    choice: str
    topics: tuple[str, ...]
    excluded: Mapping[str, str]
    partitions: int
    records: int
    log_bytes: int
    incomplete: tuple[str, ...] = ()
    tier: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillResult:
    """Everything that a drill knows at its end. `drill` is its id, which is also that of its restore. `problems` are
    sentences about failures that no comparison contains, for example the error that ended the drill. `earlier` is what
    this drill has removed of earlier ones that died, by their ids. `log_chain` says which entries of the set's log were
    verified. `objects` are the objects of the repository that the restore reads, with the SHA-256 that the point has
    for each."""

    drill: str
    data: ChosenData
    repository_id: str
    source_cluster_id: str
    target_cluster_id: str | None
    scratch_prefix: str
    partitions: tuple[PartitionComparison, ...]
    settings: tuple[SettingsComparison, ...]
    groups: tuple[GroupComparison, ...]
    checks: tuple[OwnerCheck, ...]
    clean_up: CleanUp | None
    times: DrillTimes
    objectives: Objectives
    problems: tuple[str, ...] = ()
    earlier: Mapping[str, CleanUp] = field(default_factory=dict)
    log_chain: str | None = None
    objects: Mapping[str, str] = field(default_factory=dict)

    @property
    def failures(self) -> tuple[str, ...]:
        """A sentence for everything because of which the drill fails. Empty if it passed."""
        found = [
            *self.problems,
            *(f"{one.source}: {one.problem}" for one in self.partitions if one.problem),
            *(f"{one.target}: {problem}" for one in self.settings for problem in one.problems),
            *(f"group {one.group}: {problem}" for one in self.groups for problem in one.problems),
            *(f"check {one.name}: it failed" for one in self.checks if one.verdict == "failed"),
            *(f"objective {name} was missed" for name in self.objectives.missed),
        ]
        if not self.problems and not self._has_compared:
            found.append("The drill has compared nothing.")
        if self.clean_up is None:
            found.append("Nothing was cleaned up.")
        else:
            found += [*self.clean_up.problems, *self.clean_up.kept]
        return tuple(found)

    @property
    def _has_compared(self) -> bool:
        """Whether records were found and looked at: their contents, or at the level `counts` their number."""
        return any(one.compared_records or (one.level == "counts" and one.found_records) for one in self.partitions)

    @property
    def verdict(self) -> Verdict:
        """Whether the drill passed."""
        return "failed" if self.failures else "passed"
