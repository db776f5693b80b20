"""Reads the users with SCRAM credentials, and decides which reasons for missing users are no error: no permission, an
old broker. Kafka does not return the secrets of the credentials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from tasks.broker.admin.admin import Admin
from tasks.broker.admin.admin_requests import Attempt
from tasks.broker.admin_values import ScramCredential, ScramUser
from tasks.broker.error_codes import ErrorCode
from tasks.broker.messages.wire import DescribeUserScramCredentialsRequest
from tasks.broker.translation import Action, Permission, error_for_code
from tasks.model.errors import AccessError, UnsupportedError

_DESCRIBE_SCRAM = (0, 0)
_MECHANISMS: Mapping[int, str] = MappingProxyType({1: "SCRAM-SHA-256", 2: "SCRAM-SHA-512"})


def read_users(admin: Admin) -> tuple[tuple[ScramUser, ...], str | None]:
    """See `ClusterAdmin.read_users`."""
    action = Action("read the users of", admin.location, (Permission("Describe", "Cluster"),))
    try:
        found = admin.answer(action, lambda attempt: _request(attempt, action))
    except (AccessError, UnsupportedError) as error:
        return (), str(error)
    return tuple(sorted(found, key=lambda user: user.name)), None


def _request(attempt: Attempt, action: Action) -> Sequence[ScramUser]:
    """Every user, from any broker. A user that is deleted meanwhile is left out."""
    # An empty list means all users, as null does. Kafka 4.3 never answers a request with null whose permission is
    # missing, because making the error fails.
    answer = attempt.call(attempt.any_broker(), DescribeUserScramCredentialsRequest(users=[]), *_DESCRIBE_SCRAM)
    if answer.error_code:
        raise error_for_code(answer.error_code, action, answer.error_message)
    users = []
    for result in answer.results:
        if result.error_code == ErrorCode.RESOURCE_NOT_FOUND:
            continue
        if result.error_code:
            raise error_for_code(result.error_code, action, result.error_message)
        credentials = [
            ScramCredential(mechanism=_MECHANISMS.get(one.mechanism, str(one.mechanism)), iterations=one.iterations)
            for one in sorted(result.credential_infos, key=lambda one: one.mechanism)
        ]
        users.append(ScramUser(name=result.user, credentials=tuple(credentials)))
    return users
