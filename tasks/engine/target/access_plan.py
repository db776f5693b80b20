"""Decides which ACLs and client quotas of a point a restore adds to the target. Pure. Nothing on the target is removed
or replaced: what exists there with another value stays."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tasks.broker.admin_values import AclBinding, ClientQuota, QuotaEntity, acl_text, entity_text, quota_order
from tasks.engine.acl_mapping import map_acls
from tasks.engine.target.findings import Finding
from tasks.model.counting import counted
from tasks.repository.restores import TopicCopy


@dataclass(frozen=True, slots=True)
class AclPlan:
    """The ACLs to add, the number of those that the target has already, and those that have no place there."""

    to_add: tuple[AclBinding, ...]
    existing: int
    left_out: Mapping[AclBinding, str]


@dataclass(frozen=True, slots=True)
class OtherQuota:
    """A quota whose value on the target is not that of the point."""

    entity: QuotaEntity
    name: str
    captured: float
    present: float


@dataclass(frozen=True, slots=True)
class QuotaPlan:
    """The values to set, the number of those that the target has already, and those that have another value there."""

    to_set: tuple[ClientQuota, ...]
    existing: int
    others: tuple[OtherQuota, ...]


def targets_of_topics(topics: Sequence[TopicCopy]) -> dict[str, list[str]]:
    """The target topics of each restored topic."""
    found: dict[str, list[str]] = {}
    for topic in topics:
        found.setdefault(topic.topic, []).append(topic.target)
    return found


def plan_acls(
    captured: Collection[AclBinding], targets: Mapping[str, Collection[str]], present: Collection[AclBinding]
) -> AclPlan:
    """The plan for the ACLs of a point. `targets` are the target topics of each restored topic, `present` the ACLs of
    the target."""
    mapped, known = map_acls(captured, targets), set(present)
    to_add = tuple(acl for acl in mapped.acls if acl not in known)
    return AclPlan(to_add, len(mapped.acls) - len(to_add), mapped.left_out)


def plan_quotas(
    captured: Mapping[QuotaEntity, Mapping[str, float]], present: Mapping[QuotaEntity, Mapping[str, float]]
) -> QuotaPlan:
    """The plan for the quotas of a point. `present` are the quotas of the target."""
    to_set, existing, others = [], 0, []
    for entity in sorted(captured, key=quota_order):
        own = present.get(entity, {})
        missing = {name: value for name, value in sorted(captured[entity].items()) if name not in own}
        if missing:
            to_set.append(ClientQuota(entity=entity, values=missing))
        for name, value in sorted(captured[entity].items()):
            existing += own.get(name) == value
            if name in own and own[name] != value:
                others.append(OtherQuota(entity, name, value, own[name]))
    return QuotaPlan(tuple(to_set), existing, tuple(others))


def acl_findings(plan: AclPlan, *, is_applied: bool) -> Iterator[Finding]:
    """What a restore adds and leaves out. With `is_applied` false it is only planned."""
    will = "is added" if is_applied else "would be added with acls: apply"
    for acl in plan.to_add:
        yield Finding("note", "acls", f"{acl_text(acl)} {will}.")
    if plan.existing:
        yield Finding("note", "acls", f"{counted(plan.existing, 'ACL')} of the point exist on the target already.")
    for acl, reason in plan.left_out.items():
        yield Finding("note", "acls", f"{acl_text(acl)} is left out: {reason}.")
    denying = [acl for acl in plan.left_out if acl.permission == "DENY"]
    if denying and plan.to_add:
        yield Finding(
            "warning",
            "acls",
            f"{counted(len(denying), 'ACL')} that deny something are left out, so the added ones can allow more than "
            "on the source. Add the denying ones yourself.",
        )


def quota_findings(plan: QuotaPlan, *, is_applied: bool) -> Iterator[Finding]:
    """What a restore sets and leaves as it is. With `is_applied` false it is only planned."""
    will = "is set" if is_applied else "would be set with quotas: apply"
    for quota in plan.to_set:
        yield Finding("note", "quotas", f"{quota_text(quota)} {will}.")
    if plan.existing:
        yield Finding("note", "quotas", f"{counted(plan.existing, 'quota')} of the point exist on the target already.")
    for one in plan.others:
        yield Finding(
            "warning",
            "quotas",
            f"{one.name} of {entity_text(one.entity)} is {one.present:,.12g} on the target and {one.captured:,.12g} in "
            "the point. The value of the target stays; change it yourself if it is wrong.",
        )


def quota_text(quota: ClientQuota) -> str:
    """The quota for messages: `producer_byte_rate 1,000 of user alice`."""
    values = ", ".join(f"{name} {value:,.12g}" for name, value in quota.values.items())
    return f"{values} of {entity_text(quota.entity)}"
