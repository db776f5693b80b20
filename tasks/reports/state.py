"""The texts and JSON members of a cluster's state, and of the differences between two states. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict

from tasks.broker.admin_values import AclBinding, acl_text, entity_text
from tasks.engine.cluster_state.differences import (
    TOPIC_ID,
    WHOLE,
    Comparison,
    Difference,
    Part,
    Parts,
    Subject,
    Value,
    subjects,
)
from tasks.engine.cluster_state.picture import SECTIONS, ClusterPicture, Section
from tasks.model.counting import counted
from tasks.model.quoting import quoted
from tasks.reports.figures import table_text

_NAMES: Mapping[Section, tuple[str, str]] = {
    "topics": ("topic", "topics"),
    "groups": ("group", "groups"),
    "acls": ("ACL", "ACLs"),
    "quotas": ("quota of", "client quotas"),
    "users": ("user", "users"),
}


def state_lines(picture: ClusterPicture, sections: Collection[Section]) -> Iterator[str]:
    """The chosen sections of a picture, each with a title. A section that was not captured has its reason and no
    table."""
    for section in (one for one in SECTIONS if one in sections):
        _, title = _NAMES[section]
        if section in picture.absent:
            yield f"{title}: {picture.absent[section]}\n"
            continue
        found = subjects(picture, section)
        yield f"{title}: {len(found)}"
        if found:
            yield from _TABLES[section](picture)
        if section == "users" and found:
            yield "Kafka does not return the secrets of users, so they are in no backup."
        if section == "groups":
            yield from (f"{quoted(name)}: {reason}" for name, reason in sorted(picture.unreadable_groups.items()))
        yield ""


def _topic_table(picture: ClusterPicture) -> Iterator[str]:
    rows = [
        (name, topic.partitions, topic.replication_factor, _settings(topic.settings))
        for name, topic in sorted(picture.topics.items())
    ]
    yield table_text(("TOPIC", "PARTITIONS", "REPLICAS", "OWN SETTINGS"), rows)


def _settings(settings: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={quoted(value)}" for name, value in sorted(settings.items())) or "-"


def _group_table(picture: ClusterPicture) -> Iterator[str]:
    rows = [
        (quoted(group), f"{topic}-{partition}", offset)
        for group, positions in sorted((picture.groups or {}).items())
        for (topic, partition), offset in sorted(positions.items())
    ]
    yield table_text(("GROUP", "PARTITION", "POSITION"), rows)


def _acl_lines(picture: ClusterPicture) -> Iterator[str]:
    yield from (acl_text(acl) for acl in sorted(picture.acls or ()))


def _quota_table(picture: ClusterPicture) -> Iterator[str]:
    rows = [
        (entity_text(entity), name, f"{value:,.12g}")
        for entity, values in (picture.quotas or {}).items()
        for name, value in sorted(values.items())
    ]
    yield table_text(("CLIENTS", "QUOTA", "VALUE"), rows)


def _user_table(picture: ClusterPicture) -> Iterator[str]:
    rows = [
        (quoted(user), mechanism, iterations)
        for user, mechanisms in sorted((picture.users or {}).items())
        for mechanism, iterations in sorted(mechanisms.items())
    ]
    yield table_text(("USER", "MECHANISM", "ITERATIONS"), rows)


_TABLES = {
    "topics": _topic_table,
    "groups": _group_table,
    "acls": _acl_lines,
    "quotas": _quota_table,
    "users": _user_table,
}


def state_document(picture: ClusterPicture, sections: Collection[Section]) -> dict[str, object]:
    """The chosen sections for `--json`. A section that was not captured is null, and `absent` contains its reason."""
    found: dict[str, object] = {
        section: None
        if section in picture.absent
        else [
            {"subject": subject_document(subject), "parts": parts_document(parts)}
            for subject, parts in subjects(picture, section).items()
        ]
        for section in SECTIONS
        if section in sections
    }
    found["absent"] = {section: reason for section, reason in picture.absent.items() if section in sections}
    return found


def comparison_lines(comparison: Comparison, *, before: str, after: str) -> Iterator[str]:
    """One line for each difference, then what could not be compared. `before` and `after` name the two states."""
    for one in comparison.differences:
        yield difference_text(one, before=before, after=after)
    for section, reason in comparison.one_sided.items():
        yield f"not comparable: {_NAMES[section][1]}: only one side has them: {reason}"
    for group, reason in comparison.unread_groups.items():
        yield f"not comparable: group {quoted(group)}: {reason}"
    for section, reason in comparison.neither.items():
        yield f"not compared: {_NAMES[section][1]}: {reason}"
    if comparison.is_equal:
        left_out = f", except {', '.join(_NAMES[one][1] for one in comparison.neither)}" if comparison.neither else ""
        yield f"{before} and {after} are equal{left_out}."
    else:
        yield f"{before} and {after}: {counted(len(comparison.differences), 'difference')}."


def difference_text(one: Difference, *, before: str, after: str) -> str:
    """A difference in one line."""
    subject = f"{_NAMES[one.section][0]} {_subject_text(one.subject)}"
    if one.part == WHOLE:
        where = f"only in {before}" if one.after is None else f"only in {after}"
        return f"{subject}: {where}"
    if one.section == "topics" and one.part == TOPIC_ID:
        return f"{subject}: created again: the id is {one.before} in {before} and {one.after} in {after}"
    values = f"{_value_text(one.before)} in {before}, {_value_text(one.after)} in {after}"
    return f"{subject}: {_part_text(one.part)}: {values}{_distance(one)}"


def _distance(one: Difference) -> str:
    """How far apart two positions are."""
    if one.section != "groups" or not isinstance(one.before, int) or not isinstance(one.after, int):
        return ""
    apart = one.after - one.before
    return f" ({abs(apart):,} {'ahead' if apart > 0 else 'behind'})"


def _value_text(value: object) -> str:
    if value is None:
        return "not set"
    return quoted(value) if isinstance(value, str) else f"{value:,}" if isinstance(value, int) else f"{value:,.12g}"


def _subject_text(subject: Subject) -> str:
    if isinstance(subject, AclBinding):
        return acl_text(subject)
    return quoted(subject) if isinstance(subject, str) else entity_text(subject)


def _part_text(part: Part) -> str:
    return part if isinstance(part, str) else f"{part[0]}-{part[1]}"


def comparison_document(comparison: Comparison, *, before: str, after: str) -> dict[str, object]:
    """A comparison for `--json`."""
    return {
        "before": before,
        "after": after,
        "is_equal": comparison.is_equal,
        "differences": [
            {
                "section": one.section,
                "subject": subject_document(one.subject),
                "part": None if one.part == WHOLE else _part_text(one.part),
                "before": _value_document(one.before),
                "after": _value_document(one.after),
            }
            for one in comparison.differences
        ],
        "not_comparable": {"sections": dict(comparison.one_sided), "groups": dict(comparison.unread_groups)},
        "not_compared": dict(comparison.neither),
    }


def subject_document(subject: Subject) -> object:
    """A subject for `--json`: a name, an ACL as an object, or an entity as pairs of types and names."""
    if isinstance(subject, AclBinding):
        return asdict(subject)
    return subject if isinstance(subject, str) else [{"type": kind, "name": name} for kind, name in subject]


def parts_document(parts: Parts) -> dict[str, Value]:
    """The parts of a subject for `--json`. The parts of a group are `topic-partition`."""
    return {_part_text(part): value for part, value in parts.items()}


def _value_document(value: Value | Parts | None) -> object:
    return parts_document(value) if isinstance(value, Mapping) else value
