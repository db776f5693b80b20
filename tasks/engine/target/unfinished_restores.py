"""Earlier restores that staged topics and were not finalized: they know the settings that those topics had before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tasks.model.errors import DamagedError, UnsupportedError
from tasks.repository.restores import StepDone, Targets, TopicCopy, read_part, read_restore_plan, restore_parts
from tasks.store.protocol import ObjectStore


@dataclass(frozen=True, slots=True)
class UnfinishedRestore:
    """One earlier restore. `targets` is None when it died before it wrote down the ids of the topics it created."""

    topics: tuple[TopicCopy, ...]
    targets: Targets | None


@dataclass(frozen=True, slots=True)
class UnfinishedRestores:
    """All of a repository, oldest first."""

    restores: Sequence[UnfinishedRestore]

    @classmethod
    def read(cls, store: ObjectStore) -> UnfinishedRestores:
        """Read them once for all topics of a new restore: at most three objects per earlier restore, however many
        topics there are. A restore whose records cannot be read is passed over."""
        found = []
        for restore, parts in restore_parts(store).items():
            if "finalized" not in parts and (one := _read(store, restore)) is not None:
                found.append(one)
        return cls(found)

    def original_settings(self, target: str, topic_id: str, own: Mapping[str, str]) -> Mapping[str, str]:
        """Returns the topic's own settings. Values that an unfinished restore staged are replaced by the originals
        which the oldest such restore recorded. Pure.

        A restore that died, or that waits for `finalize`, left the topic with staging settings; the next restore into
        the same topic takes over its final settings. A value that was changed since is kept.
        """
        for restore in self.restores:
            for topic in restore.topics:
                if topic.target == target and _is_staged(topic, topic_id, restore.targets, own):
                    return _before_staging(topic, own)
        return own


def _read(store: ObjectStore, restore: str) -> UnfinishedRestore | None:
    try:
        # A listing may lag behind writes, so the absence of `finalized` is confirmed by reading.
        if read_part(store, restore, "finalized", StepDone) is not None:
            return None
        targets = read_part(store, restore, "targets", Targets)
        return UnfinishedRestore(read_restore_plan(store, restore).topics, targets)
    except (DamagedError, UnsupportedError):
        return None


def _before_staging(topic: TopicCopy, own: Mapping[str, str]) -> Mapping[str, str]:
    staged = {name for name, value in own.items() if _is_from(topic, name, value)}
    before = topic.original if topic.exists else topic.settings
    kept = {name: value for name, value in own.items() if name not in staged}
    return kept | {name: before[name] for name in staged if name in before}


def _is_from(topic: TopicCopy, name: str, value: str) -> bool:
    """Whether that restore gave the topic this value, while it replayed or while it waits for `finalize`."""
    is_waiting = name == "cleanup.policy" and name in topic.deferred and value == "compact"
    return topic.staging.get(name) == value or is_waiting


def _is_staged(topic: TopicCopy, topic_id: str, targets: Targets | None, own: Mapping[str, str]) -> bool:
    """Whether that restore staged this very topic. A topic whose id was not written down is recognized by its staging
    settings."""
    if topic.exists:
        return topic.target_id == topic_id
    if targets is None:
        return topic.staging.items() <= own.items()
    return any(target.topic_id == topic_id for target in targets.partitions)
