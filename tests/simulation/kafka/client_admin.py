"""The part of `ClusterAdmin` about clients: their quotas, and the users with SCRAM credentials."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.broker.admin_values import ClientQuota, QuotaEntity, ScramUser, entity_text, quota_order
from tasks.broker.translation import Action, Permission
from tasks.model.errors import AccessError, KafkaBackupError
from tests.simulation.kafka.calls import Client


def read_quotas(client: Client, location: str) -> tuple[tuple[ClientQuota, ...], str | None]:
    """All quotas and None, or none and the reason."""

    def quotas(attempt: int) -> tuple[tuple[ClientQuota, ...], str | None]:
        try:
            client.require(Permission("DescribeConfigs", "Cluster"), "read", f"the client quotas of {location}")
        except AccessError as error:
            return (), str(error)
        found = sorted(client.kafka.client_quotas.items(), key=lambda pair: quota_order(pair[0]))
        return tuple(ClientQuota(entity=entity, values=dict(values)) for entity, values in found), None

    return client.call("admin.read_quotas", "", quotas)


def set_quotas(client: Client, quotas: Sequence[ClientQuota]) -> dict[QuotaEntity, KafkaBackupError | None]:
    """Set the values of each entity; others stay."""
    by_entity = {quota.entity: quota for quota in quotas}

    def change(entity: QuotaEntity, attempt: int) -> None:
        client.kafka.permissions.require(client.user, Permission("AlterConfigs", "Cluster"))
        client.kafka.client_quotas.setdefault(entity, {}).update(by_entity[entity].values)

    def action(entity: QuotaEntity) -> Action:
        return Action("set the client quotas of", entity_text(entity), (Permission("AlterConfigs", "Cluster"),))

    return client.call_each("admin.set_quotas", list(by_entity), change, action)


def read_users(client: Client, location: str) -> tuple[tuple[ScramUser, ...], str | None]:
    """All users and None, or none and the reason."""

    def users(attempt: int) -> tuple[tuple[ScramUser, ...], str | None]:
        try:
            client.require(Permission("Describe", "Cluster"), "read", f"the users of {location}")
        except AccessError as error:
            return (), str(error)
        return tuple(sorted(client.kafka.users, key=lambda user: user.name)), None

    return client.call("admin.read_users", "", users)
