"""The differences between two pictures of a cluster. Pure.

A section of a picture has subjects (topics, groups, ACLs, …), and a subject has parts with values. Two pictures differ
in a part that only one of them has, or whose value is another one. A subject that only one of them has is one
difference, and not one for each of its parts.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from tasks.broker.admin_values import AclBinding, QuotaEntity, quota_order
from tasks.engine.cluster_state.picture import SECTIONS, ClusterPicture, Section, TopicPicture

Subject = str | AclBinding | QuotaEntity
Part = str | tuple[str, int]
Value = str | int | float
Parts = Mapping[Part, Value]

WHOLE: Final = ""
"""The part of a difference about a whole subject that only one picture has."""

TOPIC_ID: Final = "id"
PARTITIONS: Final = "partitions"
REPLICATION_FACTOR: Final = "replication factor"


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference. `before` is the value in the first picture and `after` that in the second one; None if the
    picture does not have it. They are values, or for the part `WHOLE` all parts of the subject.

    The parts of a topic are `TOPIC_ID`, `PARTITIONS`, `REPLICATION_FACTOR` and the names of its own settings, those of
    a group topics with partitions, those of a quota Kafka's names, and those of a user mechanisms. An ACL has none.
    """

    section: Section
    subject: Subject
    part: Part
    before: Value | Parts | None
    after: Value | Parts | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The result of a comparison. `one_sided` are the sections that only one picture has: whether they differ is not
    known. `neither` are the sections that no picture has. `unread_groups` are the groups whose positions one of the
    pictures lacks because they could not be read. All have reasons."""

    differences: tuple[Difference, ...]
    one_sided: Mapping[Section, str]
    neither: Mapping[Section, str]
    unread_groups: Mapping[str, str]

    @property
    def is_equal(self) -> bool:
        """Whether everything that one of the pictures has was compared, and nothing differs."""
        return not (self.differences or self.one_sided or self.unread_groups)


def compare(before: ClusterPicture, after: ClusterPicture) -> Comparison:
    """Compare two pictures. The order of the differences is fixed. Topic ids are compared if both pictures have
    them."""
    reasons = {**after.absent, **before.absent}
    both = [section for section in SECTIONS if section not in reasons]
    unread = {**before.unreadable_groups, **after.unreadable_groups} if "groups" in both else {}
    return Comparison(
        differences=tuple(
            difference
            for section in both
            for difference in _differences(section, before, after)
            if difference.subject not in unread or section != "groups"
        ),
        one_sided={one: reasons[one] for one in SECTIONS if (one in before.absent) != (one in after.absent)},
        neither={one: reasons[one] for one in SECTIONS if one in before.absent and one in after.absent},
        unread_groups=unread,
    )


def subjects(picture: ClusterPicture, section: Section) -> Mapping[Subject, Parts]:
    """The subjects of a section with their parts. Empty for a section that the picture does not have."""
    if section == "topics":
        return {name: _topic_parts(topic) for name, topic in picture.topics.items()}
    if section == "groups":
        return {group: dict(positions) for group, positions in (picture.groups or {}).items()}
    if section == "acls":
        return {acl: {} for acl in picture.acls or ()}
    if section == "quotas":
        return {entity: _by_name(values) for entity, values in (picture.quotas or {}).items()}
    return {user: _by_name(mechanisms) for user, mechanisms in (picture.users or {}).items()}


def _by_name(values: Mapping[str, Value]) -> dict[Part, Value]:
    return dict(values.items())


def _topic_parts(topic: TopicPicture) -> dict[Part, Value]:
    parts: dict[Part, Value] = {PARTITIONS: topic.partitions, REPLICATION_FACTOR: topic.replication_factor}
    if topic.topic_id is not None:
        parts[TOPIC_ID] = topic.topic_id
    parts.update(topic.settings.items())
    return parts


def _differences(section: Section, before: ClusterPicture, after: ClusterPicture) -> Iterator[Difference]:
    was, is_now = subjects(before, section), subjects(after, section)
    for subject in sorted(was.keys() | is_now.keys(), key=_order):
        old, new = was.get(subject), is_now.get(subject)
        if old is None or new is None:
            yield Difference(section, subject, WHOLE, old, new)
            continue
        for part in sorted(old.keys() | new.keys(), key=_part_order):
            is_unknown_id = section == "topics" and part == TOPIC_ID and (part not in old or part not in new)
            if old.get(part) != new.get(part) and not is_unknown_id:
                yield Difference(section, subject, part, old.get(part), new.get(part))


def _order(subject: Subject) -> tuple[Hashable, ...]:
    if isinstance(subject, AclBinding):
        return tuple(getattr(subject, name) for name in AclBinding.__dataclass_fields__)
    return (subject,) if isinstance(subject, str) else quota_order(subject)


def _part_order(part: Part) -> tuple[str, int]:
    return (part, 0) if isinstance(part, str) else part
