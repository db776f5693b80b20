"""The steps of a drill. The command runs them in one process; a flow runs each of them as a task.

choose → begin → replay each bin → positions → compare each partition → settings → owner's checks → clean up. Every step
after `begin` finds in the repository what it needs of the steps before it, so any process can run it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tasks.broker.ports import ClusterAdmin
from tasks.engine.drilling.choice import choose_drill_point, choose_drill_topics
from tasks.engine.drilling.clean_up import clean_up
from tasks.engine.drilling.comparison import compare_with
from tasks.engine.drilling.drill_result import (
    ChosenData,
    GroupComparison,
    PartitionComparison,
    SettingsComparison,
)
from tasks.engine.drilling.scratch_groups import compare_groups
from tasks.engine.options import DrillOptions, RestoreOptions, TopicSelection
from tasks.engine.positions.translate import translate
from tasks.engine.restore_steps import (
    begin_restore,
    prepare_restore,
    preview_restore,
    restore_targets,
    started_restore,
)
from tasks.engine.run_context import ClusterContext
from tasks.engine.scratch_names import scratch_name
from tasks.engine.started_restore import StartedRestore
from tasks.engine.target.finalize import finish_settings
from tasks.engine.target.findings import Finding, has_errors, refusal_of
from tasks.engine.target.restore_plan import RestoreRequest
from tasks.model.errors import DamagedError, LockedError, NotFoundError
from tasks.repository.drills import DrillRecord, find_drill, write_drill
from tasks.repository.names import log_key
from tasks.repository.repository import Repository, tool_name
from tasks.repository.restore_point import RestorePoint
from tasks.repository.restores import Targets
from tasks.repository.set_state import PointSummary

MOST_ENTRIES = 500
"""So many of the newest entries of a set's log are verified. A validation verifies all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BegunDrill:
    """A drill whose scratch topics exist. `findings` are those of the restore's preflight."""

    data: ChosenData
    record: DrillRecord
    findings: tuple[Finding, ...]
    started: StartedRestore
    targets: Targets


@dataclass(frozen=True, slots=True)
class PointChoice:
    """The point of a drill, how it was chosen in words, the time of the set's newest point in Unix milliseconds, and
    the tier if the point was chosen by tiers."""

    point: PointSummary
    how: str
    newest_ms: int
    tier: str | None = None


def choose_point(repository: Repository, set_name: str, options: DrillOptions, drill: str) -> PointChoice:
    """Choose the point of a drill. Raises `NotFoundError` if there is no such set or no point, and what
    `choose_drill_point` raises."""
    state = repository.state(set_name)
    points = state.points
    chosen = choose_drill_point(points, options, drill, now_ms=repository.now_ms(), last_tier=state.drilled_tier)
    return PointChoice(chosen.point, chosen.how, points[max(points)].time_ms, chosen.tier)


def begin_drill(
    context: ClusterContext,
    admin: ClusterAdmin,
    point: RestorePoint,
    choice: PointChoice,
    options: DrillOptions,
    *,
    drill: str,
    most_bins: int,
    bins_are_tasks: bool = False,
) -> BegunDrill:
    """Choose the topics, record what the drill is going to make, and make the scratch topics.

    Raises `RefusedError` if the preflight finds errors (`AccessError` if one of them is a missing permission); then
    nothing is left of the drill. After every other error call `clean_up`.
    """
    repository = context.repository
    names = {row.topic for row in point.rows.values() if row.is_live}
    topics, excluded = choose_drill_topics(sorted(names), options, drill)
    ended = {row.topic for row in point.rows.values()} - names
    excluded |= dict.fromkeys(sorted(ended), "it was deleted on the source before the point was made")
    mapping = {name: scratch_name(options.scratch_prefix, drill, name) for name in topics}
    request = RestoreRequest(
        restore=drill,
        topics=TopicSelection(include=topics),
        options=RestoreOptions(
            topic_mapping=mapping,
            finalize="apply",
            default_replication_factor=options.default_replication_factor,
            max_concurrent_partitions=options.max_concurrent_partitions,
            rate_limit_bytes_per_sec=options.rate_limit_bytes_per_sec,
            rate_limit_records_per_sec=options.rate_limit_records_per_sec,
        ),
        most_bins=most_bins,
        bins_are_tasks=bins_are_tasks,
    )
    preview = preview_restore(context, admin, point, request)
    if has_errors(preview.findings):
        raise refusal_of(preview.findings)
    plan = preview.plan
    record = DrillRecord(
        repository_id=repository.root.repository_id,
        restore=drill,
        set=point.set_name,
        point=point.seq,
        created_ms=repository.now_ms(),
        cluster_id=plan.cluster_id,
        topics=mapping,
        groups={name: scratch_name(options.scratch_prefix, drill, name) for name in _groups_of(point, topics)},
        tool=tool_name(),
    )
    write_drill(repository.restore_state, record)
    started = begin_restore(repository, preview, clock=context.clock)
    data = ChosenData(
        set_name=point.set_name,
        point=point.seq,
        point_ms=point.entry.time_ms,
        choice=choice.how,
        topics=topics,
        excluded=excluded,
        partitions=len(plan.partitions),
        records=sum(copy.records for copy in plan.partitions),
        log_bytes=sum(copy.log_bytes for copy in plan.partitions),
        incomplete=tuple(_incomplete(point, preview.findings)),
        tier=choice.tier,
    )
    targets = prepare_restore(context, admin, plan)
    if find_drill(repository.restore_state, drill) is None:
        clean_up(context, record)
        raise LockedError(f"The drill {drill} was cleaned up by another process before it began.")
    return BegunDrill(data=data, record=record, findings=tuple(preview.findings), started=started, targets=targets)


def objects_of(point: RestorePoint, started: StartedRestore) -> dict[str, str]:
    """The data objects of the plan and the objects that describe the point, with the SHA-256 of each. They can be more
    than 100,000: keep them out of values that many tasks receive."""
    refs = [*point.entry.table, *point.entry.states]
    data = {
        line.object: line.sha256
        for lines in started.lines.values()
        for line in lines
        if line.object is not None and line.sha256 is not None
    }
    return {**{ref.key: ref.sha256 for ref in refs}, **data}


def verify_log(repository: Repository, set_name: str) -> str:
    """Read the newest entries of the set's log, at most `MOST_ENTRIES`, and check that each names the SHA-256 of the
    entry before it. Returns which ones, in words. Raises `DamagedError` if the chain is broken."""
    log = repository.log(set_name).without_memory()
    newest = log.state().seq
    first = max(1, newest - MOST_ENTRIES + 1)
    before: str | None = None
    for seq in range(first, newest + 1):
        found = log.read_entry(seq)
        key = log_key(set_name, seq)
        if found is None:
            raise DamagedError(f"{key} is missing, although later entries exist", key=key)
        entry, digest = found
        if entry.parent != before and seq > first:
            raise DamagedError(f"{key} does not name the entry before it: the log was edited or mixed up", key=key)
        before = digest
    return f"verified: entries {first:,} to {newest:,} of {newest:,}, each names the SHA-256 of the entry before it"


def _incomplete(point: RestorePoint, findings: Sequence[Finding]) -> Iterator[str]:
    """A sentence for everything that the point itself lacks of the chosen topics, so that the drill cannot prove it."""
    yield from (finding.sentence for finding in findings if finding.is_missing_data)
    if point.groups is None:
        yield f"The point has no group positions: {point.entry.groups_failure or 'they are not part of this backup'}."


def reopened(
    repository: Repository,
    drill: str,
    data: ChosenData,
    findings: tuple[Finding, ...],
    *,
    is_one_of_several: bool,
) -> BegunDrill:
    """The drill that `begin_drill` began, for other processes, see `started_restore`. Raises `NotFoundError` if there
    is no such drill, or its point was removed."""
    record = find_drill(repository.restore_state, drill)
    if record is None:
        raise NotFoundError(f"There is no drill {drill} at {repository.restore_state.location}.")
    return BegunDrill(
        data=data,
        record=record,
        findings=findings,
        started=started_restore(repository, drill, is_one_of_several=is_one_of_several),
        targets=restore_targets(repository, drill),
    )


def _groups_of(point: RestorePoint, topics: tuple[str, ...]) -> list[str]:
    """The groups that have a position on one of the topics."""
    groups = point.groups.groups if point.groups is not None else ()
    return [group.group for group in groups if any(position.topic in topics for position in group.positions)]


def compare_positions(context: ClusterContext, admin: ClusterAdmin, begun: BegunDrill) -> list[GroupComparison]:
    """Write the translated positions into scratch groups, read them back and compare them. Call it after the replay.
    May be called again. Raises what `compare_groups` raises."""
    started, targets = begun.started, begun.targets
    groups = [
        group for group in (started.groups.groups if started.groups else ()) if group.group in begun.record.groups
    ]
    positions = translate(started, targets, groups)
    with context.record_reader() as reader:
        return compare_groups(admin, started, targets, positions, begun.record.groups, reader)


def compare_bin(
    context: ClusterContext, begun: BegunDrill, options: DrillOptions, number: int
) -> list[PartitionComparison]:
    """Compare the partitions of one bin with the backup. They share one client of the second reader. May be called
    again. Raises what `compare_with` raises."""
    started, targets = begun.started, begun.targets
    with context.record_reader() as reader:
        return [
            compare_with(
                reader,
                context,
                started,
                started.plan.partitions[index],
                targets.partitions[index],
                options.compare_level,
                options.sample_percent,
            )
            for index in started.plan.bins[number]
        ]


def compare_settings(admin: ClusterAdmin, begun: BegunDrill, point: RestorePoint) -> list[SettingsComparison]:
    """Give the scratch topics their final settings and compare what they have with the point. Call it after the records
    were compared, because a topic can delete records as soon as it has its own retention. May be called again.

    A setting that the preflight named, because the target cluster does not accept it, is no problem.
    """
    plan = begun.started.plan
    finish_settings(plan, begun.targets, admin)
    expected = {(state.topic, state.topic_id): state.topic_settings() for state in point.topics.topics}
    actual = admin.topic_configs([topic.target for topic in plan.topics])
    found = []
    for topic in plan.topics:
        has = {entry.name: entry.value for entry in actual[topic.target]}
        named = [finding.message for finding in begun.findings if finding.subject == topic.target]
        problems = [
            f"the setting {name} is {has.get(name)}, and the backup has {value}"
            for name, value in sorted(expected[topic.topic, topic.topic_id].items())
            if has.get(name) != value and not any(_says(message, name) for message in named)
        ]
        found.append(
            SettingsComparison(
                topic=topic.topic,
                target=topic.target,
                compared=len(expected[topic.topic, topic.topic_id]),
                problems=tuple(problems),
            )
        )
    return found


def _says(message: str, setting: str) -> bool:
    """Whether the message is about this setting, and not about one whose name contains it."""
    return re.search(rf"(?<![\w.]){re.escape(setting)}(?![\w.])", message) is not None
