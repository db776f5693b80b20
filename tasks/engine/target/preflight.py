"""Preflight of a restore: every reason against it, found before anything on the target is changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tasks.broker.ports import ClusterAdmin
from tasks.engine.options import RestoreOptions
from tasks.engine.positions.translate import wanted_groups
from tasks.engine.run_context import ClusterContext
from tasks.engine.target.findings import Finding, Level, error_finding
from tasks.engine.target.permissions import missing_for_groups
from tasks.engine.target.restore_plan import RestoreSource, TargetView
from tasks.engine.target.target_findings import target_findings
from tasks.model.errors import InterruptedRunError, KafkaBackupError, ObjectNotFoundError
from tasks.model.partition import Partition
from tasks.repository.lines import IndexLine
from tasks.repository.repository import Repository
from tasks.repository.restores import RestorePlan

_LARGEST_REQUEST_BYTES = 100 << 20
"""The default `socket.request.max.bytes`: no broker takes a larger batch unless it was told to."""


def preflight(
    context: ClusterContext,
    admin: ClusterAdmin,
    plan: RestorePlan,
    source: RestoreSource,
    view: TargetView,
    options: RestoreOptions,
) -> list[Finding]:
    """All findings, errors first. Reads the cluster and the repository, changes neither."""
    findings = [
        *target_findings(plan, source, view, options, admin),
        *_lacks(source, options),
        *_emptiness(context, plan, view, options),
        *missing_for_groups(source, admin, options),
        *_objects(context.repository, source),
        *_batches(source),
        *_groups(admin, source, options),
    ]
    order = {"error": 0, "warning": 1, "note": 2}
    return sorted(dict.fromkeys(findings), key=lambda finding: order[finding.level])


def _emptiness(
    context: ClusterContext, plan: RestorePlan, view: TargetView, options: RestoreOptions
) -> Iterator[Finding]:
    """A target that holds anything is refused: what was there could never be told from what was restored."""
    existing = [
        Partition(name, topic.topic_id, part.partition)
        for name, topic in view.topics.items()
        for part in topic.partitions
    ]
    if options.purge_topics:  # of the partitions that are restored; what the others hold would be mixed with that
        planned = {(copy.target_topic, copy.target_partition) for copy in plan.partitions}
        existing = [partition for partition in existing if (partition.topic, partition.partition) not in planned]
    if not existing:
        return
    with context.reader() as log:
        earliest = log.list_offsets(existing, "earliest")
        latest = log.list_offsets(existing, "latest")
    for partition in existing:
        failure = earliest.failures.get(partition) or latest.failures.get(partition)
        if failure is not None:
            yield error_finding(str(partition), failure)
        elif latest.offsets[partition] != earliest.offsets[partition]:
            count = latest.offsets[partition] - earliest.offsets[partition]
            yield Finding(
                "error",
                str(partition),
                f"it is not empty ({count} offsets)"
                + (", and purge_topics does not delete what is not restored. " if options.purge_topics else ". ")
                + "Restore into another topic with topic_mapping"
                + ("." if options.purge_topics else ", or let purge_topics delete what is there."),
            )


def _lacks(source: RestoreSource, options: RestoreOptions) -> Iterator[Finding]:
    """What the point itself lacks of the topics that are restored."""
    for chosen in source.chosen:
        topic, held = chosen.state, {row.partition for row in chosen.rows}
        for number in range(topic.partitions) if options.source_partitions is None else ():
            if number not in held:
                yield _lack(Partition(topic.topic, topic.topic_id, number), "the point has nothing of it.")
        for row in chosen.rows:
            if row.failure is not None:
                yield _lack(row.source, f"the point has only what was read of it before: {row.failure}")
            for gap in (gap for line in source.lines[row.source] for gap in line.gaps):
                yield _lack(row.source, f"offsets {gap.first} to {gap.next - 1} are not in the point: {gap.reason}.")


def _lack(partition: Partition, message: str) -> Finding:
    return Finding("warning", str(partition), message, is_lack=True)


def _objects(repository: Repository, source: RestoreSource) -> Iterator[Finding]:
    """Every object that the restore will read must be there with its size."""
    lines = {line.object: line for part in source.lines.values() for line in part if line.object}
    for key, line in sorted(lines.items()):
        try:
            size = repository.store.head(key).size_bytes
        except ObjectNotFoundError:
            yield Finding("error", key, f"the object is missing (topic {line.topic}, partition {line.partition}).")
            continue
        if size != line.stored_bytes:
            yield Finding("error", key, f"the object has {size} bytes instead of {line.stored_bytes}.")


def _batches(source: RestoreSource) -> Iterator[Finding]:
    for partition, lines in source.lines.items():
        largest = _largest(lines)
        if largest > _LARGEST_REQUEST_BYTES:
            yield Finding("error", str(partition), f"it has a batch of {largest} bytes, more than a broker accepts.")


def _largest(lines: Sequence[IndexLine]) -> int:
    return max((line.largest_batch_bytes for line in lines), default=0)


def _groups(admin: ClusterAdmin, source: RestoreSource, options: RestoreOptions) -> Iterator[Finding]:
    """Positions of a group that is in use cannot be written; a group whose positions are not here is named."""
    if options.consumer_group_strategy == "skip":
        return
    if source.point.groups is None:
        reason = source.point.entry.groups_failure or "the backup was made without consumer_group_snapshot"
        yield Finding("error" if options.reset_consumer_offsets else "note", "groups", f"no positions: {reason}.")
        return
    wanted = wanted_groups(source.point.groups, options.consumer_groups)
    for group in wanted:
        if group.failure is not None:
            is_asked_for = options.reset_consumer_offsets and group.group in (options.consumer_groups or ())
            level: Level = "error" if is_asked_for else "warning"
            yield Finding(level, group.group, f"its positions could not be captured: {group.failure}")
    for name in sorted(set(options.consumer_groups or ()) - {group.group for group in wanted}):
        yield Finding("error", name, "the point has no positions of this group.")
    if not options.reset_consumer_offsets:
        return
    try:
        described = admin.describe_groups([group.group for group in wanted])
    except InterruptedRunError:
        raise
    except KafkaBackupError as error:
        yield error_finding("groups", error)
        return
    for found in described:
        if found.members:
            yield Finding(
                "error", found.group_id, f"the group has {found.members} active members: stop its consumers first."
            )
