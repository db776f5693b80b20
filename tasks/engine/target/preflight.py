"""The preflight of a restore: finds every reason against it before anything on the target is changed. Contains the
findings about other incarnations, missing data, damaged objects, oversized batches and groups."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence

from tasks.broker.ports import ClusterAdmin
from tasks.engine.archived import archived_objects, archived_text, thaw_command
from tasks.engine.options import RestoreOptions
from tasks.engine.positions.translate import selected_groups
from tasks.engine.run_context import ClusterContext, RunContext
from tasks.engine.target.accepted_settings import AcceptedRestore
from tasks.engine.target.findings import Finding, FindingLevel, error_finding
from tasks.engine.target.permissions import group_permission_findings
from tasks.engine.target.restore_plan import RestoreSource, TargetView
from tasks.engine.target.selection import incarnations, other_incarnations
from tasks.engine.target.selection_findings import selection_findings
from tasks.engine.target.shrunk_point import shrunk_point_finding
from tasks.engine.target.target_findings import target_findings
from tasks.engine.target.target_records import record_findings
from tasks.engine.workers import run_all
from tasks.model.counting import counted
from tasks.model.errors import InterruptedRunError, KafkaBackupError
from tasks.model.partition import Partition
from tasks.model.quoting import some_of
from tasks.model.suggestions import did_you_mean
from tasks.repository.data_objects import DataObjects
from tasks.repository.lines import IndexLine
from tasks.repository.repository import Repository
from tasks.repository.restores import RestorePlan
from tasks.store.protocol import ObjectInfo

_LARGEST_REQUEST_BYTES = 100 << 20
"""The default of `socket.request.max.bytes`. A broker accepts a larger batch only if its configuration was changed."""

_MOST_NAMED_TOPICS = 10
_REQUESTS_AT_ONCE = 16


def data_infos(context: RunContext, source: RestoreSource) -> dict[str, ObjectInfo | None]:
    """What the store states about each data object of the restore, in the order of the keys; None for a missing one.
    Sends one request for each object, several at the same time."""
    objects = DataObjects(context.repository.store)
    keys = sorted({line.object for part in source.lines.values() for line in part if line.object is not None})
    infos = run_all(objects.info, keys, _REQUESTS_AT_ONCE, context.stop)
    return dict(zip(keys, infos, strict=True))


def preflight(
    context: ClusterContext,
    admin: ClusterAdmin,
    accepted: AcceptedRestore,
    source: RestoreSource,
    view: TargetView,
    options: RestoreOptions,
    infos: Mapping[str, ObjectInfo | None],
) -> list[Finding]:
    """All findings, errors first. Reads the cluster and the repository and changes neither. `infos` are the
    `data_infos` of the source."""
    plan = accepted.plan
    findings = [
        *target_findings(plan, source, view, options),
        *accepted.findings,
        *_incarnations(source),
        *selection_findings(context.repository, source, plan, options),
        *_missing_data(source, options),
        *_shrunk_point(context.repository, source),
        *record_findings(context, plan, view, options),
        *group_permission_findings(source, admin, options),
        *_damaged_objects(context.repository, source, plan, infos),
        *_archived_objects(source, infos),
        *_oversized_batches(source),
        *_group_findings(admin, source, options, plan.restore),
    ]
    order = {"error": 0, "warning": 1, "note": 2}
    return sorted(dict.fromkeys(findings), key=lambda finding: order[finding.level])


def data_findings(
    context: RunContext, source: RestoreSource, plan: RestorePlan, options: RestoreOptions
) -> list[Finding]:
    """The findings about the backup alone, errors first, for a restore that is continued: what the point lacks, and
    objects that cannot be read."""
    infos = data_infos(context, source)
    findings = [
        *_damaged_objects(context.repository, source, plan, infos),
        *_archived_objects(source, infos),
        *_incarnations(source),
        *_missing_data(source, options),
        *_shrunk_point(context.repository, source),
    ]
    order = {"error": 0, "warning": 1, "note": 2}
    return sorted(dict.fromkeys(findings), key=lambda finding: order[finding.level])


def _incarnations(source: RestoreSource) -> Iterator[Finding]:
    """Warnings for chosen topics that the point contains in other incarnations too, or that did not exist at the point,
    and the findings about the run that made the point."""
    rows = list(source.point.rows.values())
    for topic in source.chosen:
        ids = [one.topic_id for one in other_incarnations(rows, [topic])]
        if ids:
            yield Finding(
                "warning",
                topic.state.topic,
                f"it was deleted and created again. The incarnation with the id {topic.state.topic_id} is restored, "
                f"and not {', '.join(ids)}: to restore another one, name its id in topic_ids.",
            )
        elif not any(row.is_live for row in topic.rows):
            message = "it did not exist any more at the point, or was not selected. Its last records are restored."
            yield Finding("note", topic.state.topic, message)
    for warning in source.point.entry.warnings:
        yield Finding("warning", source.point.name, warning)


def _missing_data(source: RestoreSource, options: RestoreOptions) -> Iterator[Finding]:
    """Warnings for data of the restored topics that the point itself does not contain."""
    for chosen in source.chosen:
        topic, partitions = chosen.state, {row.partition for row in chosen.rows}
        for number in range(topic.partitions) if options.source_partitions is None else ():
            if number not in partitions:
                yield _missing(Partition(topic.topic, topic.topic_id, number), "the point contains nothing of it.")
        for row in chosen.rows:
            if row.failure is not None:
                yield _missing(row.source, f"the point contains only a part of it, because it failed: {row.failure}")
            for gap in (gap for line in source.lines[row.source] for gap in line.gaps):
                yield _missing(row.source, f"offsets {gap.first} to {gap.next - 1} are not in the point: {gap.reason}.")


def _shrunk_point(repository: Repository, source: RestoreSource) -> Iterator[Finding]:
    point = source.point
    finding = shrunk_point_finding(point.set_name, point.seq, repository.state(point.set_name).points)
    if finding is not None:
        yield finding


def _missing(partition: Partition, message: str) -> Finding:
    return Finding("warning", str(partition), message, is_missing_data=True)


def _archived_objects(source: RestoreSource, infos: Mapping[str, ObjectInfo | None]) -> Iterator[Finding]:
    """An error if data objects of the restore cannot be read before the store brought them back."""
    archived = archived_objects(info for info in infos.values() if info is not None)
    if archived.objects:
        topics = sorted({topic.state.topic for topic in source.chosen})
        is_selected = len(topics) <= _MOST_NAMED_TOPICS and len(topics) < len(incarnations(source.point.rows.values()))
        command = thaw_command(source.point.name, topics if is_selected else ())
        yield Finding(
            "error",
            source.point.name,
            f"{archived_text(archived)} with {archived.bytes:,} bytes are archived, and the store has to bring them "
            f"back first. {command} asks for them and says when they are back.",
            is_archived=True,
        )


def _damaged_objects(
    repository: Repository, source: RestoreSource, plan: RestorePlan, infos: Mapping[str, ObjectInfo | None]
) -> Iterator[Finding]:
    """Errors for data objects of the restore that are missing or have another size than the index states."""
    older = [seq for seq in repository.state(plan.set).points if seq < plan.point]
    cure = f"`kafka-backup validate --backup-id {plan.set}@{plan.point}` names all damage of this point. "
    cure += "Restore the topics without damage, or bring the object back"
    cure += f", or choose an older point: {plan.set}@{max(older)}." if older else "."
    named = {line.object: (line.stored_bytes, own) for own, part in source.lines.items() for line in part}
    for key, (stored_bytes, partition) in sorted((key, found) for key, found in named.items() if key):
        info = infos[key]
        place = f"topic {partition.topic}, partition {partition.partition}"
        if info is None:
            yield Finding("error", key, f"the object is missing ({place}). {cure}")
        elif info.size_bytes != stored_bytes:
            message = f"the object has {info.size_bytes} bytes instead of {stored_bytes} ({place}). {cure}"
            yield Finding("error", key, message)


def _oversized_batches(source: RestoreSource) -> Iterator[Finding]:
    for partition, lines in source.lines.items():
        largest = _largest(lines)
        if largest > _LARGEST_REQUEST_BYTES:
            yield Finding("error", str(partition), f"it has a batch of {largest} bytes, more than a broker accepts.")


def _largest(lines: Sequence[IndexLine]) -> int:
    return max((line.largest_batch_bytes for line in lines), default=0)


def _group_findings(
    admin: ClusterAdmin, source: RestoreSource, options: RestoreOptions, restore: str
) -> Iterator[Finding]:
    """Errors for groups whose positions cannot be written, because the point does not contain them. Warnings for groups
    with members, whose records are restored all the same. Warnings and notes for other missing positions."""
    if options.consumer_group_strategy == "skip":
        return
    if source.point.groups is None:
        failure = source.point.entry.groups_failure
        reason = failure or "the backup was made without consumer_group_snapshot"
        cure = "Choose another point, or set consumer_group_strategy to skip and set the positions yourself."
        if failure is None:
            cure = f"Set it to true for the next backups. {cure}"
        level: FindingLevel = "error" if options.reset_consumer_offsets else "note"
        yield Finding(level, "groups", f"no positions: {reason.rstrip('.')}. {cure}")
        return
    selected = selected_groups(source.point.groups, options.consumer_groups)
    for group in selected:
        if group.failure is not None:
            is_required = options.reset_consumer_offsets and group.group in (options.consumer_groups or ())
            level = "error" if is_required else "warning"
            yield Finding(level, group.group, f"its positions could not be captured: {group.failure}")
    for name in sorted(set(options.consumer_groups or ()) - {group.group for group in selected}):
        known = [group.group for group in source.point.groups.groups]
        near = did_you_mean(name, known) or f" It has those of {some_of(sorted(known))}."
        yield Finding("error", name, f"the point has no positions of this group. Correct consumer_groups.{near}")
    if not options.reset_consumer_offsets:
        return
    try:
        described = admin.describe_groups([group.group for group in selected])
    except InterruptedRunError:
        raise
    except KafkaBackupError as error:
        yield error_finding("groups", error)
        return
    for found in described:
        if found.members:
            members, name = counted(found.members, "active member"), shlex.quote(found.group_id)
            yield Finding(
                "warning",
                found.group_id,
                f"the group has {members}, and Kafka refuses positions of such a group: stop its consumers, or write "
                f"its positions later with `kafka-backup offsets apply {restore} --group {name}`.",
            )
