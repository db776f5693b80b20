"""Unfinished restores: reads all of them, and finds those that staged a topic. Their plans contain the settings that
the topic had before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tasks.model.errors import DamagedError, UnsupportedError
from tasks.repository.restores import StepDone, Targets, TopicCopy, read_part, read_restore_plan, restore_parts
from tasks.store.protocol import ObjectStore


@dataclass(frozen=True, slots=True)
class UnfinishedRestore:
    """One unfinished restore. `targets` is None if it died before it stored the ids of the topics that it created. Of
    an abandoned restore only the topics that keep staged settings are here, with these settings."""

    topics: tuple[TopicCopy, ...]
    targets: Targets | None


@dataclass(frozen=True, slots=True)
class UnfinishedRestores:
    """All unfinished restores of a repository, oldest first."""

    restores: Sequence[UnfinishedRestore]

    @classmethod
    def read(cls, *stores: ObjectStore) -> UnfinishedRestores:
        """Read the unfinished restores of these stores once, for all topics of a new restore. Reads at most four
        objects for each restore. A restore whose documents are damaged, or of a later version, is left out."""
        found = {}
        for store in dict.fromkeys(stores):
            for restore, parts in restore_parts(store).items():
                if "finalized" not in parts and (one := _read(store, restore)) is not None:
                    found[restore] = one
        return cls([found[restore] for restore in sorted(found)])

    def original_settings(self, target: str, topic_id: str, settings: Mapping[str, str]) -> Mapping[str, str]:
        """Returns the topic's own `settings`. Values that an unfinished restore staged are replaced by the originals
        which the oldest restore that staged that value recorded. Pure.

        Such a restore died, or waits for `finalize`, and left the topic with staging settings. A value that was changed
        after that restore is kept.
        """
        found = dict(settings)
        for name, value in settings.items():
            staged_by = next(
                (topic for topic in self._staging(target, topic_id, settings) if _staged(topic, name, value)), None
            )
            if staged_by is not None:
                before = staged_by.original if staged_by.exists else staged_by.settings
                found.pop(name)
                found |= {name: before[name]} if name in before else {}
        return found

    def _staging(self, target: str, topic_id: str, settings: Mapping[str, str]) -> Iterator[TopicCopy]:
        """This topic in the restores that staged it, oldest first."""
        for restore in self.restores:
            for topic in restore.topics:
                if topic.target == target and _is_staged(topic, topic_id, restore.targets, settings):
                    yield topic


def _read(store: ObjectStore, restore: str) -> UnfinishedRestore | None:
    try:
        # A listing may lag behind writes, so the absence of `finalized` is confirmed by reading.
        if read_part(store, restore, "finalized", StepDone) is not None:
            return None
        abandoned = read_part(store, restore, "abandoned", StepDone)
        kept = None if abandoned is None else abandoned.report.get("kept") or {}
        if kept == {}:
            return None
        topics = read_restore_plan(store, restore).topics
        if isinstance(kept, dict):
            topics = tuple(_with_kept(topic, kept[topic.target]) for topic in topics if topic.target in kept)
        return UnfinishedRestore(topics, read_part(store, restore, "targets", Targets))
    except (DamagedError, UnsupportedError):
        return None


def _with_kept(topic: TopicCopy, names: Sequence[str]) -> TopicCopy:
    """The topic as if only these settings had been staged."""
    staging = {name: value for name, value in topic.staging.items() if name in names}
    return topic.model_copy(update={"staging": staging, "deferred": tuple(names)})


def _staged(topic: TopicCopy, name: str, value: str) -> bool:
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
