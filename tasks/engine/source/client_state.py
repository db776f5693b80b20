"""Reads the quotas of clients and the users, in the form in which a point contains them. Decides that a point does
without them if they cannot be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from tasks.broker.admin_values import ClientQuota, ScramUser
from tasks.broker.ports import ClusterAdmin
from tasks.model.errors import InterruptedRunError, KafkaBackupError
from tasks.repository.state_objects import ClientsState, CredentialState, QuotaPart, QuotaState, UserState

V = TypeVar("V")


def read_clients(admin: ClusterAdmin) -> ClientsState:
    """All quotas and users of the cluster, or the reasons why they could not be read. Raises only
    `InterruptedRunError`, because records must not be lost for a quota that could not be read."""
    quotas, quotas_absent = _read(admin.read_quotas)
    users, users_absent = _read(admin.read_users)
    return ClientsState(
        quotas=tuple(quota_state(quota) for quota in quotas),
        quotas_absent=quotas_absent,
        users=tuple(user_state(user) for user in users),
        users_absent=users_absent,
    )


def client_notes(state: ClientsState | None) -> Iterator[str]:
    """A sentence for each part that could not be read. Pure."""
    if state is not None and state.quotas_absent is not None:
        yield f"client quotas are not in this point: {state.quotas_absent}"
    if state is not None and state.users_absent is not None:
        yield f"users are not in this point: {state.users_absent}"


def _read(read: Callable[[], tuple[tuple[V, ...], str | None]]) -> tuple[tuple[V, ...], str | None]:
    try:
        return read()
    except InterruptedRunError:
        raise
    except KafkaBackupError as error:
        return (), str(error)


def quota_state(quota: ClientQuota) -> QuotaState:
    """The quota as a point contains it."""
    return QuotaState(
        entity=tuple(QuotaPart(type=kind, name=name) for kind, name in quota.entity),
        values=dict(sorted(quota.values.items())),
    )


def user_state(user: ScramUser) -> UserState:
    """The user as a point contains it."""
    return UserState(
        user=user.name,
        credentials=tuple(
            CredentialState(mechanism=one.mechanism, iterations=one.iterations) for one in user.credentials
        ),
    )
