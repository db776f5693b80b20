"""Prepares the target topics of a restore: creates or stages them, purges them if configured, reads their ids."""

from __future__ import annotations

from collections.abc import Mapping

from tasks.broker.admin_values import NewTopicSpec
from tasks.broker.ports import ClusterAdmin, LogWriter
from tasks.engine.run_context import ClusterContext
from tasks.engine.target.permissions import require_restorable
from tasks.engine.target.target_findings import creation_settings
from tasks.model.errors import RefusedError
from tasks.model.partition import Partition, require_topic_ids
from tasks.repository.restores import RestorePlan, TargetPartition, Targets, TopicCopy


def prepare_targets(context: ClusterContext, admin: ClusterAdmin, plan: RestorePlan) -> Targets:
    """Create the topics that do not exist and stage those that do. Returns the ids and base offsets of the targets, and
    the producer identity, which have to be stored before the first record is written.

    Raises `RefusedError` if an existing topic is not the planned one or is not empty, and `AccessError` if a permission
    is missing that could not be checked before the topic existed.
    """
    _create(plan, admin)
    ids = _topic_ids(plan, admin)
    for topic in plan.topics:
        if topic.exists:
            if ids[topic.target] != topic.target_id:
                raise RefusedError(f"{topic.target} was deleted and created again since this restore was planned.")
            admin.alter_topic_configs(topic.target, to_set=topic.staging, to_delete=())
    is_purging = any(topic.is_purged for topic in plan.topics)
    require_restorable(admin, [topic.target for topic in plan.topics], is_purging=is_purging)
    with context.writer() as writer:
        bases = _bases(plan, ids, writer, admin)
        identity = writer.init_producer_id()
    return Targets(
        restore=plan.restore,
        producer_id=identity.producer_id,
        producer_epoch=identity.epoch,
        partitions=tuple(
            TargetPartition(topic=part.topic, topic_id=part.topic_id, partition=part.partition, base=bases[part])
            for copy in plan.partitions
            for part in [Partition(copy.target_topic, ids[copy.target_topic], copy.target_partition)]
        ),
    )


def _create(plan: RestorePlan, admin: ClusterAdmin) -> None:
    specs = [_spec(topic) for topic in plan.topics if not topic.exists]
    failed = admin.create_topics(specs) if specs else {}
    for error in failed.values():
        if error is not None:
            raise error


def _spec(topic: TopicCopy) -> NewTopicSpec:
    return NewTopicSpec(
        name=topic.target,
        partitions=topic.partitions,
        replication_factor=topic.replication_factor,
        configs=creation_settings(topic),
    )


def _topic_ids(plan: RestorePlan, admin: ClusterAdmin) -> Mapping[str, str]:
    """The ids of the target topics. Waits until the broker that is asked knows all new topics."""
    names = [topic.target for topic in plan.topics]
    ids: dict[str, str] = {}

    def are_known() -> bool:
        ids.update({topic.name: topic.topic_id for topic in admin.describe_topics(names)})
        return set(names) <= ids.keys()

    admin.await_that(are_known, f"The topics {', '.join(names)} were created, but the brokers do not list all of them.")
    require_topic_ids(ids.items())
    return ids


def _bases(plan: RestorePlan, ids: Mapping[str, str], writer: LogWriter, admin: ClusterAdmin) -> dict[Partition, int]:
    partitions = [
        Partition(copy.target_topic, ids[copy.target_topic], copy.target_partition) for copy in plan.partitions
    ]
    purged = {topic.target for topic in plan.topics if topic.is_purged}
    latest = writer.list_offsets(partitions, "latest")
    if purged:
        admin.delete_records(
            {(part.topic, part.partition): latest.offsets[part] for part in partitions if part.topic in purged}
        )
    earliest = writer.list_offsets(partitions, "earliest")
    for failure in [*latest.failures.values(), *earliest.failures.values()]:
        raise failure
    for part in partitions:
        if earliest.offsets[part] != latest.offsets[part]:
            raise RefusedError(f"{part}: it is not empty.")
    return latest.offsets
