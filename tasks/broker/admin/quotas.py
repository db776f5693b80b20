"""Reads and sets the quotas of clients, and decides which reasons for missing quotas are no error: no permission, an
old broker."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.broker.admin.admin import Admin
from tasks.broker.admin.admin_requests import Answers, Attempt
from tasks.broker.admin.quota_messages import request_quota_changes, request_quotas
from tasks.broker.admin.topic_messages import Failed
from tasks.broker.admin_values import ClientQuota, QuotaEntity, entity_text, quota_order
from tasks.broker.translation import Action, Permission, error_for_code
from tasks.model.errors import AccessError, BrokerError, KafkaBackupError, UnsupportedError


def read_quotas(admin: Admin) -> tuple[tuple[ClientQuota, ...], str | None]:
    """See `ClusterAdmin.read_quotas`."""
    try:
        return listed_quotas(admin), None
    except (AccessError, UnsupportedError) as error:
        return (), str(error)


def listed_quotas(admin: Admin) -> tuple[ClientQuota, ...]:
    """All quotas in a fixed order. Raises `AccessError` or `UnsupportedError` if they cannot be read."""
    action = Action("read the client quotas of", admin.location, (Permission("DescribeConfigs", "Cluster"),))

    def send(attempt: Attempt) -> Sequence[ClientQuota]:
        found = request_quotas(attempt)
        if isinstance(found, Failed):
            raise error_for_code(found.code, action, found.message)
        return found

    return tuple(sorted(admin.answer(action, send), key=lambda quota: quota_order(quota.entity)))


def set_quotas(admin: Admin, quotas: Sequence[ClientQuota]) -> dict[QuotaEntity, KafkaBackupError | None]:
    """See `ClusterAdmin.set_quotas`."""
    by_entity = {quota.entity: quota for quota in quotas}

    def action(entity: QuotaEntity) -> Action:
        return Action("set the client quotas of", entity_text(entity), (Permission("AlterConfigs", "Cluster"),))

    def send(attempt: Attempt, entities: list[QuotaEntity]) -> Answers[QuotaEntity, None]:
        found = request_quota_changes(attempt, [by_entity[entity] for entity in entities])
        return {entity: _answer(found, entity, action(entity)) for entity in entities}

    answers: dict[QuotaEntity, KafkaBackupError | None] = dict(admin.answer_each(list(by_entity), send, action))
    done = {entity for entity, error in answers.items() if error is None}

    def are_shown() -> bool:
        shown = {quota.entity: quota.values for quota in listed_quotas(admin)}
        return all(by_entity[entity].values.items() <= shown.get(entity, {}).items() for entity in done)

    if done:
        admin.await_that(are_shown, "The brokers do not show the new client quotas yet.")
    return answers


def _answer(found: dict[QuotaEntity, Failed | None], entity: QuotaEntity, action: Action) -> KafkaBackupError | None:
    if entity not in found:
        return BrokerError(f"Cannot {action}: Kafka's answer does not contain it.")
    failed = found[entity]
    return error_for_code(failed.code, action, failed.message) if failed is not None else None
