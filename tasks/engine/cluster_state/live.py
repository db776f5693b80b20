"""Reads the picture of a live cluster, as far as it can be compared with a point."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Final

from tasks.broker.admin_values import TopicDescription
from tasks.broker.ports import ClusterAdmin
from tasks.engine.acl_mapping import map_acls
from tasks.engine.cluster_state.picture import ClusterPicture, picture_of, without
from tasks.engine.options import BackupOptions, TopicSelection
from tasks.engine.source.client_state import read_clients
from tasks.engine.source.group_state import groups_of_topics, read_groups
from tasks.engine.source.topic_state import read_topics
from tasks.engine.topic_selection import is_selected
from tasks.model.errors import InterruptedRunError, KafkaBackupError
from tasks.repository.state_objects import GroupsState

OTHER_OFFSETS: Final = "restored topics have other offsets, so positions are not compared"


def live_source(
    admin: ClusterAdmin, selection: TopicSelection, options: BackupOptions, captured: ClusterPicture
) -> ClusterPicture:
    """The picture of the cluster that a point was made of: the topics that a backup with this selection would choose,
    and those of the point, `captured`. Sections that the point does not have are not read.

    Raises the errors of `ClusterAdmin`, `AccessError` if the user is not allowed to describe a topic of the point.
    """
    chosen = {topic.name for topic in admin.describe_topics() if _is_chosen(topic, selection, options)}
    return _live(admin, chosen | captured.topics.keys(), captured)


def live_target(admin: ClusterAdmin, captured: ClusterPicture) -> ClusterPicture:
    """The picture of a cluster that a point was restored into: the topics of `captured`, which is a `restored_picture`.
    Raises as `live_source`."""
    return _live(admin, captured.topics.keys(), captured)


def restored_picture(captured: ClusterPicture, targets: Mapping[str, Collection[str]]) -> ClusterPicture:
    """The picture of a target after a restore of these topics under these names. Topic ids are other ones there. ACLs
    that have no place on the target are left out. Pure."""
    found = without(captured, ["groups"], captured.absent.get("groups", OTHER_OFFSETS))
    topics = {
        name: replace(topic, topic_id=None)
        for source, topic in captured.topics.items()
        for name in targets.get(source, ())
    }
    acls = None if found.acls is None else frozenset(map_acls(found.acls, targets).acls)
    return replace(found, topics=topics, acls=acls)


def _is_chosen(topic: TopicDescription, selection: TopicSelection, options: BackupOptions) -> bool:
    """Whether a backup chooses the topic, as `select_topics` decides."""
    if not is_selected(topic.name, selection):
        return False
    is_allowed = options.include_internal_topics and topic.name in (options.internal_topics or (topic.name,))
    return not topic.is_internal or topic.name in selection.include or is_allowed


def _live(admin: ClusterAdmin, names: Collection[str], captured: ClusterPicture) -> ClusterPicture:
    described = admin.describe_topics(sorted(names)) if names else []
    groups, failure = _groups(admin, described) if captured.groups is not None else (None, None)
    has_clients = captured.quotas is not None or captured.users is not None
    found = picture_of(
        read_topics(admin, described), groups, read_clients(admin) if has_clients else None, groups_absent=failure
    )
    for section, reason in captured.absent.items():
        found = without(found, [section], reason)
    return found


def _groups(admin: ClusterAdmin, topics: Collection[TopicDescription]) -> tuple[GroupsState | None, str | None]:
    """(the groups with positions on these topics, the reason if they could not be read)."""
    try:
        state, _ = read_groups(admin)
    except InterruptedRunError:
        raise
    except KafkaBackupError as error:
        return None, str(error)
    return groups_of_topics(state, {topic.name: topic.topic_id for topic in topics}), None
