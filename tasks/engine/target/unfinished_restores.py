"""What a topic had set on itself before an unfinished restore staged it: staging must never become the original."""

from __future__ import annotations

from collections.abc import Mapping

from tasks.model.errors import DamagedError, UnsupportedError
from tasks.repository.restores import StepDone, Targets, TopicCopy, read_part, read_restore_plan, restore_ids
from tasks.store.protocol import ObjectStore


def original_settings(store: ObjectStore, target: str, topic_id: str, own: Mapping[str, str]) -> Mapping[str, str]:
    """The topic's `own` settings, but for those that an unfinished restore staged: of these the oldest such restore
    knows what they were.

    A restore that died, or that waits for `finalize`, left the topic with staging settings; whoever restores into the
    same topic again takes over what it shall have in the end. What somebody has changed since stands. A restore whose
    records cannot be read is passed over.
    """
    for restore in restore_ids(store):
        for topic in _unfinished(store, restore, target, topic_id, own):
            staged = {name for name, value in own.items() if _is_from(topic, name, value)}
            before = topic.original if topic.exists else topic.settings
            kept = {name: value for name, value in own.items() if name not in staged}
            return kept | {name: before[name] for name in staged if name in before}
    return own


def _unfinished(
    store: ObjectStore, restore: str, target: str, topic_id: str, own: Mapping[str, str]
) -> list[TopicCopy]:
    """The topic's part of a restore, if that restore staged it and was not finalized."""
    try:
        if read_part(store, restore, "finalized", StepDone) is not None:
            return []
        targets = read_part(store, restore, "targets", Targets)
        topics = read_restore_plan(store, restore).topics
    except (DamagedError, UnsupportedError):
        return []
    return [topic for topic in topics if topic.target == target and _is_staged(topic, topic_id, targets, own)]


def _is_from(topic: TopicCopy, name: str, value: str) -> bool:
    """Whether that restore gave the topic this value, while it replayed or while it waits for `finalize`."""
    is_waiting = name == "cleanup.policy" and name in topic.deferred and value == "compact"
    return topic.staging.get(name) == value or is_waiting


def _is_staged(topic: TopicCopy, topic_id: str, targets: Targets | None, own: Mapping[str, str]) -> bool:
    """Whether that restore staged this very topic. One that died before it wrote down the ids of what it created is
    known by its staging settings."""
    if topic.exists:
        return topic.target_id == topic_id
    if targets is None:
        return topic.staging.items() <= own.items()
    return any(target.topic_id == topic_id for target in targets.partitions)
