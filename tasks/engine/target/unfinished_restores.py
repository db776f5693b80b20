"""Unfinished restores: their plans contain the settings that staged topics had before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tasks.model.errors import DamagedError, UnsupportedError
from tasks.repository.restores import StepDone, Targets, TopicCopy, read_part, read_restore_plan, restore_parts
from tasks.store.protocol import ObjectStore


@dataclass(frozen=True, slots=True)
class UnfinishedRestore:
    """One unfinished restore. `targets` is None if it died before it stored the ids of the topics that it created."""

    topics: tuple[TopicCopy, ...]
    targets: Targets | None


@dataclass(frozen=True, slots=True)
class UnfinishedRestores:
    """All unfinished restores of a repository, oldest first."""

    restores: Sequence[UnfinishedRestore]

    @classmethod
    def read(cls, *stores: ObjectStore) -> UnfinishedRestores:
        """Read the unfinished restores of these stores once, for all topics of a new restore. Reads at most three
        objects for each restore. A restore whose documents are damaged, or of a later version, is left out."""
        found = {}
        for store in dict.fromkeys(stores):
            for restore, parts in restore_parts(store).items():
                if "finalized" not in parts and (one := _read(store, restore)) is not None:
                    found[restore] = one
        return cls([found[restore] for restore in sorted(found)])

    def original_settings(self, target: str, topic_id: str, settings: Mapping[str, str]) -> Mapping[str, str]:
        """Returns the topic's own `settings`. Values that an unfinished restore staged are replaced by the originals
        which the oldest such restore recorded. Pure.

        Such a restore died, or waits for `finalize`, and left the topic with staging settings. A value that was changed
        after that restore is kept.
        """
        for restore in self.restores:
            for topic in restore.topics:
                if topic.target == target and _is_staged(topic, topic_id, restore.targets, settings):
                    return _before_staging(topic, settings)
        return settings


def _read(store: ObjectStore, restore: str) -> UnfinishedRestore | None:
    try:
        # A listing may lag behind writes, so the absence of `finalized` is confirmed by reading.
        if read_part(store, restore, "finalized", StepDone) is not None:
            return None
        targets = read_part(store, restore, "targets", Targets)
        return UnfinishedRestore(read_restore_plan(store, restore).topics, targets)
    except (DamagedError, UnsupportedError):
        return None


def _before_staging(topic: TopicCopy, settings: Mapping[str, str]) -> Mapping[str, str]:
    staged = {name for name, value in settings.items() if _is_staged_value(topic, name, value)}
    before = topic.original if topic.exists else topic.settings
    unchanged = {name: value for name, value in settings.items() if name not in staged}
    return unchanged | {name: before[name] for name in staged if name in before}


def _is_staged_value(topic: TopicCopy, name: str, value: str) -> bool:
    """Whether the restore set this value, as a staging setting or as the policy that waits for `finalize`."""
    is_waiting = name == "cleanup.policy" and name in topic.deferred and value == "compact"
    return topic.staging.get(name) == value or is_waiting


def _is_staged(topic: TopicCopy, topic_id: str, targets: Targets | None, settings: Mapping[str, str]) -> bool:
    """Whether the restore staged this topic. A topic whose id was not stored is recognized by its staging settings."""
    if topic.exists:
        return topic.target_id == topic_id
    if targets is None:
        return topic.staging.items() <= settings.items()
    return any(target.topic_id == topic_id for target in targets.partitions)
