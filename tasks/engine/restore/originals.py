"""What a topic had set on itself before an unfinished restore staged it: staging must never become the original."""

from __future__ import annotations

from collections.abc import Mapping

from tasks.repository.restores import StepDone, Targets, TopicCopy, read_part, read_restore_plan, restore_ids
from tasks.store.protocol import ObjectStore


def original_settings(store: ObjectStore, target: str, topic_id: str, own: Mapping[str, str]) -> Mapping[str, str]:
    """The topic's `own` settings, unless the oldest restore into it that was not finalized knows better.

    A restore that died, or that waits for `finalize`, left the topic with staging settings; whoever restores into the
    same topic again takes over what it shall have in the end.
    """
    for restore in restore_ids(store):
        if read_part(store, restore, "finalized", StepDone) is not None:
            continue
        targets = read_part(store, restore, "targets", Targets)
        for topic in read_restore_plan(store, restore).topics:
            if topic.target == target and _is_staged(topic, topic_id, targets, own):
                return topic.original if topic.exists else topic.settings
    return own


def _is_staged(topic: TopicCopy, topic_id: str, targets: Targets | None, own: Mapping[str, str]) -> bool:
    """Whether that restore staged this very topic. One that died before it wrote down the ids of what it created is
    known by its staging settings."""
    if topic.exists:
        return topic.target_id == topic_id
    if targets is None:
        return topic.staging.items() <= own.items()
    return any(target.topic_id == topic_id for target in targets.partitions)
