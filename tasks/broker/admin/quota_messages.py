"""DescribeClientQuotas and AlterClientQuotas: the request for all quotas of a cluster, the request that sets quotas,
and the values of their answers."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.broker.admin.admin_requests import Attempt
from tasks.broker.admin.topic_messages import Failed
from tasks.broker.admin_values import ClientQuota, QuotaEntity
from tasks.broker.messages.wire import AlterClientQuotasRequest, DescribeClientQuotasRequest

_DESCRIBE_QUOTAS = (0, 1)
_ALTER_QUOTAS = (0, 1)


def request_quotas(attempt: Attempt) -> list[ClientQuota] | Failed:
    """Every quota of the cluster, or the failure, from any broker."""
    request = DescribeClientQuotasRequest(components=[], strict=False)  # no component: all entities
    answer = attempt.call(attempt.any_broker(), request, *_DESCRIBE_QUOTAS)
    if answer.error_code:
        return Failed(answer.error_code, answer.error_message)
    return [
        ClientQuota(
            entity=tuple(sorted((part.entity_type, part.entity_name) for part in entry.entity)),
            values={value.key: value.value for value in entry.values},
        )
        for entry in answer.entries or ()
    ]


def request_quota_changes(attempt: Attempt, quotas: Sequence[ClientQuota]) -> dict[QuotaEntity, Failed | None]:
    """Ask any broker to set these values. Other values of the same entities stay. Returns None or the failure for
    each entity."""
    entry = AlterClientQuotasRequest.EntryData
    request = AlterClientQuotasRequest(
        entries=[
            entry(
                entity=[entry.EntityData(entity_type=kind, entity_name=name) for kind, name in quota.entity],
                ops=[entry.OpData(key=key, value=value, remove=False) for key, value in sorted(quota.values.items())],
            )
            for quota in quotas
        ],
        validate_only=False,
    )
    answer = attempt.call(attempt.any_broker(), request, *_ALTER_QUOTAS)
    return {
        tuple(sorted((part.entity_type, part.entity_name) for part in result.entity)): (
            Failed(result.error_code, result.error_message) if result.error_code else None
        )
        for result in answer.entries
    }
