"""The requests about client quotas and users, as brokers of each version read them."""

from __future__ import annotations

import pytest
from kafka.protocol.admin import (
    AlterClientQuotasRequest,
    AlterClientQuotasResponse,
    CreateAclsRequest,
    CreateAclsResponse,
    DescribeClientQuotasRequest,
    DescribeClientQuotasResponse,
)

from tasks.broker.admin.acl_messages import ListedAcl, request_new_acls
from tasks.broker.admin.quota_messages import request_quota_changes, request_quotas
from tasks.broker.admin.topic_messages import Failed
from tasks.broker.admin_values import ClientQuota
from tasks.broker.error_codes import ErrorCode
from tasks.broker.messages.api_keys import ApiKey
from tests.unit.broker.admin.test_group_messages import attempt_at
from tests.unit.broker.scripted_broker import ScriptedBroker

ENTITY = (("client-id", None), ("user", "alice"))


@pytest.mark.parametrize("version", [0, 1])
def test_all_quotas_are_requested_and_an_error_is_not_an_empty_list(version: int) -> None:
    entry = DescribeClientQuotasResponse.EntryData
    entries = [
        entry(
            entity=[
                entry.EntityData(entity_type="user", entity_name="alice"),
                entry.EntityData(entity_type="client-id", entity_name=None),
            ],
            values=[entry.ValueData(key="request_percentage", value=12.5)],
        )
    ]
    answers = [
        DescribeClientQuotasResponse(throttle_time_ms=0, error_code=0, error_message=None, entries=entries),
        DescribeClientQuotasResponse(throttle_time_ms=0, error_code=31, error_message="no", entries=None),
    ]
    broker = ScriptedBroker({ApiKey.DESCRIBE_CLIENT_QUOTAS: lambda received: answers.pop(0)})
    with attempt_at(broker, DESCRIBE_CLIENT_QUOTAS=version) as attempt:
        found = [request_quotas(attempt), request_quotas(attempt)]

    assert [
        [ClientQuota(entity=ENTITY, values={"request_percentage": 12.5})],
        Failed(ErrorCode.CLUSTER_AUTHORIZATION_FAILED, "no"),
    ] == found
    sent = broker.requests(ApiKey.DESCRIBE_CLIENT_QUOTAS)[0].decoded(DescribeClientQuotasRequest)
    assert ([], False) == (sent.components, sent.strict)


@pytest.mark.parametrize("version", [0, 1])
def test_quotas_are_set_and_never_removed(version: int) -> None:
    entry = AlterClientQuotasResponse.EntryData
    entity = [
        entry.EntityData(entity_type="user", entity_name="alice"),
        entry.EntityData(entity_type="client-id", entity_name=None),
    ]
    answer = AlterClientQuotasResponse(
        throttle_time_ms=0, entries=[entry(error_code=42, error_message="bad", entity=entity)]
    )
    broker = ScriptedBroker({ApiKey.ALTER_CLIENT_QUOTAS: lambda received: answer})
    with attempt_at(broker, ALTER_CLIENT_QUOTAS=version) as attempt:
        found = request_quota_changes(attempt, [ClientQuota(entity=ENTITY, values={"b": 2.0, "a": 0.5})])

    assert {ENTITY: Failed(42, "bad")} == found
    sent = broker.requests(ApiKey.ALTER_CLIENT_QUOTAS)[0].decoded(AlterClientQuotasRequest)
    [change] = sent.entries
    assert [("client-id", None), ("user", "alice")] == [(one.entity_type, one.entity_name) for one in change.entity]
    assert [("a", 0.5, False), ("b", 2.0, False)] == [(op.key, op.value, op.remove) for op in change.ops]
    assert not sent.validate_only


@pytest.mark.parametrize("version", [1, 2, 3])
def test_acls_are_sent_with_their_numbers_and_answered_one_by_one(version: int) -> None:
    result = CreateAclsResponse.AclCreationResult
    answer = CreateAclsResponse(
        throttle_time_ms=0,
        results=[result(error_code=0, error_message=None), result(error_code=42, error_message="bad")],
    )
    broker = ScriptedBroker({ApiKey.CREATE_ACLS: lambda received: answer})
    acl = ListedAcl(2, "orders", 4, "User:alice", "*", 3, 2)
    with attempt_at(broker, CREATE_ACLS=version) as attempt:
        found = request_new_acls(attempt, {"good": acl, "bad": acl._replace(principal="")})

    assert {"good": None, "bad": Failed(42, "bad")} == found
    sent = broker.requests(ApiKey.CREATE_ACLS)[0].decoded(CreateAclsRequest)
    first = sent.creations[0]
    assert (2, "orders", 4, "User:alice", "*", 3, 2) == (
        first.resource_type,
        first.resource_name,
        first.resource_pattern_type,
        first.principal,
        first.host,
        first.operation,
        first.permission_type,
    )
