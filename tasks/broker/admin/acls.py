"""Reads and adds the cluster's access control lists, and decides which reasons for missing lists are no error:
no authorizer, no permission, an old broker."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from enum import IntEnum

from tasks.broker.admin.acl_codes import AclOperation, AclPatternType, AclPermission, AclResourceType
from tasks.broker.admin.acl_messages import ListedAcl, request_acls, request_new_acls
from tasks.broker.admin.admin import Admin
from tasks.broker.admin.admin_requests import Answers, Attempt, by_number
from tasks.broker.admin_values import AclBinding, acl_text
from tasks.broker.error_codes import ErrorCode
from tasks.broker.translation import Action, Permission, error_for_code
from tasks.model.errors import AccessError, KafkaBackupError, UnsupportedError

_ACLS_PER_REQUEST = 1_000

NO_AUTHORIZER = "the cluster has no authorizer, so it keeps no ACLs"


def read_acls(admin: Admin) -> tuple[tuple[AclBinding, ...], str | None]:
    """(all ACLs of the cluster in a fixed order, None); or (no ACLs, the reason why they could not be read).

    These are reasons: the cluster has no authorizer, this user does not have the permission, or the broker does not
    support the request. Every other error is raised.
    """
    action = Action("describe the ACLs of", admin.location, (Permission("Describe", "Cluster"),))
    try:
        listed = admin.answer(action, lambda attempt: _checked(*request_acls(attempt), action))
    except (AccessError, UnsupportedError) as error:
        return (), str(error)
    return ((), NO_AUTHORIZER) if listed is None else (tuple(sorted(map(binding, listed))), None)


def _checked(code: int, message: str | None, listed: Sequence[ListedAcl], action: Action) -> Sequence[ListedAcl] | None:
    """The listed ACLs; None if the cluster has no authorizer. Raises the error for every other error code."""
    if code == ErrorCode.SECURITY_DISABLED:
        return None
    if code:
        raise error_for_code(code, action, message)
    return listed


def binding(listed: ListedAcl) -> AclBinding:
    """The ACL with Kafka's names instead of Kafka's numbers. A number without a known name stays a number."""
    return AclBinding(
        resource_type=_word(AclResourceType, listed.resource_type),
        resource_name=listed.resource_name,
        pattern_type=_word(AclPatternType, listed.pattern_type),
        principal=listed.principal,
        host=listed.host,
        operation=_word(AclOperation, listed.operation),
        permission=_word(AclPermission, listed.permission),
    )


def _word(kind: type[IntEnum], number: int) -> str:
    try:
        return kind(number).name
    except ValueError:
        return str(number)


def create_acls(admin: Admin, bindings: Collection[AclBinding]) -> dict[AclBinding, KafkaBackupError | None]:
    """See `ClusterAdmin.create_acls`."""

    def action(acl: AclBinding) -> Action:
        return Action("add", f"the ACL {acl_text(acl)}", (Permission("Alter", "Cluster"),))

    def send(attempt: Attempt, chunk: list[AclBinding]) -> Answers[AclBinding, None]:
        found = request_new_acls(attempt, {acl: listed(acl) for acl in chunk})
        return {
            acl: None if failed is None else error_for_code(failed.code, action(acl), failed.message)
            for acl, failed in found.items()
        }

    wanted = sorted(set(bindings))
    answers: dict[AclBinding, KafkaBackupError | None] = {acl: unknown_words(acl) for acl in wanted}
    known = [acl for acl, error in answers.items() if error is None]
    answers.update(admin.answer_each(known, send, action, by_number(_ACLS_PER_REQUEST)))
    done = {acl for acl, error in answers.items() if error is None}
    if done:
        admin.await_that(lambda: done <= set(read_acls(admin)[0]), "The brokers do not show the new ACLs yet.")
    return answers


def listed(acl: AclBinding) -> ListedAcl:
    """The ACL with Kafka's numbers: the reverse of `binding`. Raises `UnsupportedError` for a name that this version
    does not know."""
    return ListedAcl(
        _number(AclResourceType, acl.resource_type),
        acl.resource_name,
        _number(AclPatternType, acl.pattern_type),
        acl.principal,
        acl.host,
        _number(AclOperation, acl.operation),
        _number(AclPermission, acl.permission),
    )


def unknown_words(acl: AclBinding) -> UnsupportedError | None:
    """The error of an ACL with a name that this version does not know. It is not sent."""
    try:
        listed(acl)
    except UnsupportedError as error:
        return UnsupportedError(f"Cannot add the ACL {acl_text(acl)}: {error}")
    return None


def _number(kind: type[IntEnum], word: str) -> int:
    if word.isdecimal():
        return int(word)
    try:
        return kind[word]
    except KeyError:
        raise UnsupportedError(f"This version does not know the name {word!r} of ACLs.") from None
