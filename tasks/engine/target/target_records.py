"""Findings about records that existing target topics contain: these topics have to be empty, or are purged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tasks.engine.options import RestoreOptions
from tasks.engine.run_context import ClusterContext
from tasks.engine.target.findings import Finding, error_finding
from tasks.engine.target.restore_plan import TargetView
from tasks.model.counting import counted
from tasks.model.partition import Partition
from tasks.repository.restores import RestorePlan


def record_findings(
    context: ClusterContext, plan: RestorePlan, view: TargetView, options: RestoreOptions
) -> Iterator[Finding]:
    """Errors for target partitions that contain records and are not purged, because nothing could separate these from
    restored records. A warning for each topic whose records a purge deletes."""
    existing = [
        Partition(name, topic.topic_id, part.partition)
        for name, topic in view.topics.items()
        for part in topic.partitions
    ]
    if not existing:
        return
    with context.reader() as log:
        earliest = log.list_offsets(existing, "earliest")
        latest = log.list_offsets(existing, "latest")
    planned = {(copy.target_topic, copy.target_partition) for copy in plan.partitions}
    purged: dict[str, int] = {}
    for partition in existing:
        is_purged = options.purge_topics and (partition.topic, partition.partition) in planned
        failure = earliest.failures.get(partition) or latest.failures.get(partition)
        if failure is not None:
            yield error_finding(str(partition), failure)
            continue
        count = latest.offsets[partition] - earliest.offsets[partition]
        if is_purged:
            purged[partition.topic] = purged.get(partition.topic, 0) + count
        elif count:
            yield _not_empty(partition, count, options)
    yield from _purged(plan, purged)


def _not_empty(partition: Partition, count: int, options: RestoreOptions) -> Finding:
    """A purge empties only the partitions that are restored, so the others have to be empty."""
    if options.purge_topics:
        message = ", and purge_topics does not empty partitions that are not restored. Restore into another topic with "
        message += "topic_mapping."
    else:
        message = ". Restore into another topic with topic_mapping, or set purge_topics to delete its records."
    return Finding("error", str(partition), f"it is not empty ({counted(count, 'offset')}){message}")


def _purged(plan: RestorePlan, purged: Mapping[str, int]) -> Iterator[Finding]:
    sources = {copy.target: copy for copy in plan.topics}
    for topic, count in sorted(purged.items()):
        if count:
            is_source = topic in sources and sources[topic].target_id == sources[topic].topic_id
            original = " It is the topic that was backed up, not a copy." if is_source else ""
            yield Finding(
                "warning",
                topic,
                f"purge_topics deletes all records of the restored partitions ({counted(count, 'offset')}).{original}",
                purged_offsets=count,
            )
