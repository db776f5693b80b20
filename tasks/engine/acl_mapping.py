"""Decides which ACLs of a point belong to restored topics, and under which names. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from tasks.broker.admin_values import AclBinding

_TOPIC: Final = "TOPIC"
_LITERAL: Final = "LITERAL"
_ANY_NAME: Final = "*"


@dataclass(frozen=True, slots=True)
class MappedAcls:
    """The ACLs of the target, in order, and those of the source that have no place there, with the reason."""

    acls: tuple[AclBinding, ...]
    left_out: Mapping[AclBinding, str]


def map_acls(acls: Iterable[AclBinding], targets: Mapping[str, Collection[str]]) -> MappedAcls:
    """The ACLs under the names of the target. `targets` are the target topics of each restored topic.

    An ACL on one topic follows the topic, and is left out if the topic is not restored. An ACL on topics by prefix or
    on all topics is left out if a topic has another name on the target, because it would apply to other topics there.
    ACLs on other resources stay as they are.
    """
    is_renamed = any(set(names) != {topic} for topic, names in targets.items())
    kept: set[AclBinding] = set()
    left_out: dict[AclBinding, str] = {}
    for acl in sorted(acls):
        is_pattern = acl.pattern_type != _LITERAL or acl.resource_name == _ANY_NAME
        if acl.resource_type != _TOPIC or (is_pattern and not is_renamed):
            kept.add(acl)
        elif is_pattern:
            left_out[acl] = "it is for several topics by a pattern, and topics are restored under other names"
        elif acl.resource_name in targets:
            kept.update(replace(acl, resource_name=name) for name in targets[acl.resource_name])
        else:
            left_out[acl] = "its topic is not restored"
    return MappedAcls(tuple(sorted(kept)), left_out)
