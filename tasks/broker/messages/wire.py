"""The message codecs and SASL mechanisms of kafka-python. No other module imports kafka-python.

These are private modules of kafka-python, which can change in any release. So its version is pinned below 3.1, and
every message that this program uses has a test.
"""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from types import MappingProxyType
from typing import Any

from kafka.protocol.admin import (
    AlterClientQuotasRequest,
    CreateAclsRequest,
    CreatePartitionsRequest,
    CreateTopicsRequest,
    DeleteGroupsRequest,
    DeleteRecordsRequest,
    DeleteTopicsRequest,
    DescribeAclsRequest,
    DescribeClientQuotasRequest,
    DescribeClusterRequest,
    DescribeConfigsRequest,
    DescribeGroupsRequest,
    DescribeLogDirsRequest,
    DescribeUserScramCredentialsRequest,
    IncrementalAlterConfigsRequest,
    ListGroupsRequest,
)
from kafka.protocol.admin.transactions import DescribeProducersRequest
from kafka.protocol.api_header import ResponseClassRegistry
from kafka.protocol.consumer import FetchRequest, ListOffsetsRequest, OffsetCommitRequest, OffsetFetchRequest
from kafka.protocol.consumer.offsets import OffsetForLeaderEpochRequest
from kafka.protocol.metadata import ApiVersionsRequest, FindCoordinatorRequest, MetadataRequest
from kafka.protocol.producer import InitProducerIdRequest
from kafka.protocol.sasl import SaslAuthenticateRequest, SaslHandshakeRequest

from tasks.broker.messages.api_keys import ApiKey
from tasks.broker.messages.described_groups import decode_described_groups
from tasks.broker.messages.fetch_answer import decode_fetch_answer
from tasks.broker.messages.produce_answer import decode_produce_answer
from tasks.broker.messages.produce_request import PRODUCE_VERSION

__all__ = [
    "AlterClientQuotasRequest",
    "ApiVersionsRequest",
    "CreateAclsRequest",
    "CreatePartitionsRequest",
    "CreateTopicsRequest",
    "DeleteGroupsRequest",
    "DeleteRecordsRequest",
    "DeleteTopicsRequest",
    "DescribeAclsRequest",
    "DescribeClientQuotasRequest",
    "DescribeClusterRequest",
    "DescribeConfigsRequest",
    "DescribeGroupsRequest",
    "DescribeLogDirsRequest",
    "DescribeProducersRequest",
    "DescribeUserScramCredentialsRequest",
    "FetchRequest",
    "FindCoordinatorRequest",
    "IncrementalAlterConfigsRequest",
    "InitProducerIdRequest",
    "ListGroupsRequest",
    "ListOffsetsRequest",
    "MetadataRequest",
    "OffsetCommitRequest",
    "OffsetFetchRequest",
    "OffsetForLeaderEpochRequest",
    "SaslAuthenticateRequest",
    "SaslHandshakeRequest",
    "decode_response",
    "encode_request",
    "sasl_mechanism",
]

_LONGEST_HEADER_BYTES = 16


def encode_request(request: Any, *, correlation_id: int, client_id: str) -> bytes:
    """The request's bytes with length and header. The caller has to set its `API_VERSION` before."""
    request.with_header(correlation_id=correlation_id, client_id=client_id)
    encoded: bytes = request.encode(framed=True, header=True)
    return encoded


def decode_response(data: memoryview, *, api_key: int, api_version: int) -> tuple[int, Any]:
    """(correlation id, answer) of the bytes after the length. Byte fields of the answer are copies, so `data` can be
    changed afterwards. Raises exceptions of many kinds if the bytes are not a valid answer."""
    if (api_key, api_version) == (ApiKey.PRODUCE, PRODUCE_VERSION):
        return decode_produce_answer(data)
    if api_key == ApiKey.FETCH:
        return decode_fetch_answer(data, api_version)
    if api_key in (ApiKey.CONSUMER_GROUP_DESCRIBE, ApiKey.STREAMS_GROUP_DESCRIBE):
        return decode_described_groups(data, api_key=api_key, api_version=api_version)
    response_class = ResponseClassRegistry._response_class_registry[api_key][api_version]
    # The header: 4 bytes of correlation id, and in flexible versions one byte of tags (but not for ApiVersions).
    head = BytesIO(data[:_LONGEST_HEADER_BYTES])
    header = response_class.parse_header(head)
    return header.correlation_id, response_class.decode(data[head.tell() :])


def sasl_mechanism(
    name: str,
    *,
    username: str = "",
    password: str = "",
    token: str = "",
    extensions: Mapping[str, str] = MappingProxyType({}),
) -> Any:
    """The client's side of one SASL exchange, with `auth_bytes()`, `receive(bytes)` and `is_done()`.

    `token` and `extensions` are for OAUTHBEARER, `username` and `password` for the other mechanisms. `receive` raises
    `ValueError` or `KeyError` if the broker's answer is wrong.
    """
    # Imported here because the mechanisms import kafka-python's network code, which clusters without SASL do not need.
    from kafka.net.sasl import get_sasl_mechanism
    from kafka.net.sasl.oauth import AbstractTokenProvider

    class FixedToken(AbstractTokenProvider):  # type: ignore[misc]
        def token(self) -> str:
            return token

        def extensions(self) -> dict[str, str]:
            return dict(extensions)

    if name.startswith("SCRAM-"):  # RFC 5802, 5.1; kafka-python does not escape the name
        username = username.replace("=", "=3D").replace(",", "=2C")
    return get_sasl_mechanism(name)(
        sasl_mechanism=name,
        sasl_plain_username=username,
        sasl_plain_password=password,
        sasl_oauth_token_provider=FixedToken(),
    )
