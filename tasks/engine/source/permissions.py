"""Checks the permissions on topics that a backup needs, before it begins, and finds the topics that this user is not
allowed to describe. docs/SECURITY.md lists the ACLs."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from tasks.broker.ports import ClusterAdmin
from tasks.broker.translation import Action
from tasks.engine.options import TopicSelection
from tasks.engine.topic_patterns import is_literal
from tasks.model.errors import AccessError

BACKUP_OPERATIONS = ("Read", "DescribeConfigs")
"""The operations that a backup needs on each topic."""


def require_visible(admin: ClusterAdmin, selection: TopicSelection, visible: Collection[str]) -> None:
    """Raises `AccessError` if the user is not allowed to describe a topic that is included by its name. `visible` are
    the topics that Kafka lists for this user.

    Kafka leaves such topics out of its lists, and reports the missing permission only for a request with their names.
    It reports it also for a name that does not exist.
    """
    hidden = [name for name in selection.include if is_literal(name) and name not in visible]
    admin.require_on_topics(dict.fromkeys(hidden, BACKUP_OPERATIONS), Action("back up", ", ".join(hidden)))


def require_readable(admin: ClusterAdmin, names: Collection[str]) -> None:
    """Raises `AccessError` with the missing permissions if there are topics and the user is not allowed to read any of
    them. If the user is allowed to read some, the backup contains these."""
    try:
        admin.require_on_topics(dict.fromkeys(names, ("Read",)), Action("back up", ", ".join(sorted(names))))
    except AccessError as error:
        if {name for _, _, name in error.missing} >= set(names):
            raise


def denied_topics(admin: ClusterAdmin, names: Iterable[str]) -> dict[str, str]:
    """The topics that this user is not allowed to describe, each with the reason. Kafka does not list them. The other
    topics do not exist any more. Raises the errors of `ClusterAdmin`, except `AccessError`."""
    denied = {}
    for name in names:
        try:
            admin.require_on_topics({name: BACKUP_OPERATIONS}, Action("back up", name))
        except AccessError as error:
            denied[name] = str(error)
    return denied
