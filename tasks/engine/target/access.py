"""Restores ACLs and client quotas: previews what is missing on the target, adds it after the records are verified, and
reads it back. A failure is named and does not touch the restored records."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.broker.admin_values import AclBinding, QuotaEntity, acl_text
from tasks.broker.ports import ClusterAdmin
from tasks.broker.translation import Action, Permission
from tasks.engine.options import RestoreOptions
from tasks.engine.target.access_plan import (
    acl_findings,
    plan_acls,
    plan_quotas,
    quota_findings,
    quota_text,
    targets_of_topics,
)
from tasks.engine.target.findings import Finding, error_finding
from tasks.model.errors import AccessError, InterruptedRunError, KafkaBackupError, RefusedError
from tasks.model.quoting import some_of
from tasks.repository.restore_point import RestorePoint
from tasks.repository.restores import RestorePlan, TopicCopy
from tasks.repository.state_objects import ClientsState

_NOT_CAPTURED = "the backup was made without client_state_snapshot"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessResult:
    """The result of a restore's ACLs and quotas, as sentences."""

    acls_added: tuple[str, ...] = ()
    quotas_set: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()

    def report(self) -> dict[str, object]:
        """The result as the record of the step contains it."""
        return {
            "acls_added": list(self.acls_added),
            "quotas_set": list(self.quotas_set),
            "failures": list(self.failures),
        }

    @classmethod
    def from_report(cls, report: Mapping[str, Any]) -> AccessResult:
        """The result in the record of the step."""
        return cls(
            acls_added=tuple(report["acls_added"]),
            quotas_set=tuple(report["quotas_set"]),
            failures=tuple(report["failures"]),
        )


NOTHING_RESTORED = AccessResult()


def is_wanted(options: RestoreOptions) -> bool:
    """Whether the restore looks at ACLs or quotas at all."""
    return options.acls != "ignore" or options.quotas != "ignore"


def access_findings(
    admin: ClusterAdmin, point: RestorePoint, options: RestoreOptions, topics: Sequence[TopicCopy]
) -> Iterator[Finding]:
    """What the restore adds, what exists already, and what has no place on the target. What cannot be restored is an
    error if the options say `apply`, and a warning if they say `plan`."""
    if options.acls != "ignore":
        yield from _checked(admin, "acls", options.acls, "Alter", lambda: _acl_findings(admin, point, options, topics))
    if options.quotas != "ignore":
        yield from _checked(
            admin, "quotas", options.quotas, "AlterConfigs", lambda: _quota_findings(admin, point, options)
        )
    if is_wanted(options) and point.clients is not None and point.clients.users:
        yield from _user_findings(admin, point.clients)


def apply_access(admin: ClusterAdmin, point: RestorePoint, options: RestoreOptions, plan: RestorePlan) -> AccessResult:
    """Add the ACLs and quotas of the point that are missing on the target. May be called again: what exists is left
    as it is. Raises only `InterruptedRunError`."""
    acls, acl_failures = (
        _applied(lambda: _apply_acls(admin, point, plan.topics)) if options.acls == "apply" else ([], [])
    )
    quotas, quota_failures = _applied(lambda: _apply_quotas(admin, point)) if options.quotas == "apply" else ([], [])
    failures = [*acl_failures, *quota_failures]
    return AccessResult(
        acls_added=tuple(acls),
        quotas_set=tuple(quotas),
        failures=tuple(map(str, failures)),
    )


Applied = tuple[list[str], list[KafkaBackupError]]
"""(what was written, the errors)."""


def _applied(apply: Callable[[], Applied]) -> Applied:
    try:
        return apply()
    except InterruptedRunError:
        raise
    except KafkaBackupError as error:
        return [], [error]


def _apply_acls(admin: ClusterAdmin, point: RestorePoint, topics: Sequence[TopicCopy]) -> Applied:
    plan = plan_acls(captured_acls(point), targets_of_topics(topics), _present_acls(admin))
    answers = admin.create_acls(plan.to_add)
    return _sorted_out({acl_text(acl): error for acl, error in answers.items()})


def _apply_quotas(admin: ClusterAdmin, point: RestorePoint) -> Applied:
    plan = plan_quotas(captured_quotas(point), _present_quotas(admin))
    texts = {quota.entity: quota_text(quota) for quota in plan.to_set}
    answers = admin.set_quotas(plan.to_set)
    return _sorted_out({texts[entity]: error for entity, error in answers.items()})


def _sorted_out(answers: Mapping[str, KafkaBackupError | None]) -> Applied:
    errors = [error for error in answers.values() if error is not None]
    return [text for text, error in answers.items() if error is None], errors


def captured_acls(point: RestorePoint) -> list[AclBinding]:
    """The ACLs of the point. Raises `RefusedError` if it does not contain them."""
    if point.topics.acls_absent is not None:
        raise RefusedError(f"the point contains no ACLs: {point.topics.acls_absent}")
    names = AclBinding.__dataclass_fields__
    return [AclBinding(**{name: getattr(acl, name) for name in names}) for acl in point.topics.acls]


def captured_quotas(point: RestorePoint) -> dict[QuotaEntity, Mapping[str, float]]:
    """The quotas of the point. Raises `RefusedError` if it does not contain them."""
    clients = point.clients
    if clients is None or clients.quotas_absent is not None:
        reason = _NOT_CAPTURED if clients is None else clients.quotas_absent
        raise RefusedError(f"the point contains no client quotas: {reason}")
    return {tuple((part.type, part.name) for part in quota.entity): quota.values for quota in clients.quotas}


def _present_acls(admin: ClusterAdmin) -> Collection[AclBinding]:
    acls, absent = admin.read_acls()
    if absent is not None:
        raise RefusedError(f"the ACLs of the target cannot be read: {absent}")
    return acls


def _present_quotas(admin: ClusterAdmin) -> dict[QuotaEntity, Mapping[str, float]]:
    quotas, absent = admin.read_quotas()
    if absent is not None:
        raise RefusedError(f"the client quotas of the target cannot be read: {absent}")
    return {quota.entity: quota.values for quota in quotas}


def _acl_findings(
    admin: ClusterAdmin, point: RestorePoint, options: RestoreOptions, topics: Sequence[TopicCopy]
) -> Iterable[Finding]:
    plan = plan_acls(captured_acls(point), targets_of_topics(topics), _present_acls(admin))
    return acl_findings(plan, is_applied=options.acls == "apply")


def _quota_findings(admin: ClusterAdmin, point: RestorePoint, options: RestoreOptions) -> Iterable[Finding]:
    plan = plan_quotas(captured_quotas(point), _present_quotas(admin))
    return quota_findings(plan, is_applied=options.quotas == "apply")


def _checked(
    admin: ClusterAdmin, subject: str, mode: str, operation: str, findings: Callable[[], Iterable[Finding]]
) -> Iterator[Finding]:
    """The findings, or one about the reason why there are none. Writing needs `operation` on the cluster."""
    cure = f"Set {subject} to ignore to restore the records alone."
    try:
        if mode == "apply":
            needed = (Permission(operation, "Cluster"),)
            admin.require_on_cluster(Action(f"write {subject} to", admin.location, needed))
        yield from findings()
    except InterruptedRunError:
        raise
    except AccessError as error:
        yield error_finding(subject, error)
    except KafkaBackupError as error:
        yield Finding("error" if mode == "apply" else "warning", subject, f"{str(error).rstrip('.')}. {cure}")


def _user_findings(admin: ClusterAdmin, clients: ClientsState) -> Iterator[Finding]:
    """A note about the users that the target does not show."""
    present, absent = admin.read_users()
    missing = sorted({user.user for user in clients.users} - {user.name for user in present})
    if missing:
        known = f" The users of the target cannot be read: {absent}" if absent else ""
        yield Finding(
            "note",
            "users",
            f"{some_of(missing, most=20)}: create them yourself, because Kafka does not return secrets.{known}",
        )
