"""What the raw side uses of kafka-python's inner modules: message codecs, SASL mechanisms. Hence the pin below 3.1."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from kafka.protocol.admin import DescribeLogDirsRequest
from kafka.protocol.api_header import ResponseClassRegistry
from kafka.protocol.consumer import FetchRequest, ListOffsetsRequest
from kafka.protocol.metadata import ApiVersionsRequest, MetadataRequest
from kafka.protocol.producer import InitProducerIdRequest, ProduceRequest
from kafka.protocol.sasl import SaslAuthenticateRequest, SaslHandshakeRequest

from tasks.broker.messages.fetch_answer import decode_fetch_answer
from tasks.broker.messages.produce_answer import decode_produce_answer
from tasks.broker.messages.produce_request import PRODUCE_KEY, PRODUCE_VERSION

__all__ = [
    "ApiVersionsRequest",
    "DescribeLogDirsRequest",
    "FetchRequest",
    "InitProducerIdRequest",
    "ListOffsetsRequest",
    "MetadataRequest",
    "ProduceRequest",
    "SaslAuthenticateRequest",
    "SaslHandshakeRequest",
    "decode_response",
    "encode_request",
    "sasl_mechanism",
]


def encode_request(request: Any, *, correlation_id: int, client_id: str) -> bytes:
    """The request with its header and length, ready for the socket. Its `API_VERSION` must be set."""
    request.with_header(correlation_id=correlation_id, client_id=client_id)
    encoded: bytes = request.encode(framed=True, header=True)
    return encoded


def decode_response(data: memoryview, *, api_key: int, api_version: int) -> tuple[int, Any]:
    """(correlation id, response) of an answer without its length. Byte fields of the response are copies."""
    if (api_key, api_version) == (PRODUCE_KEY, PRODUCE_VERSION):
        return decode_produce_answer(data)
    if api_key == FetchRequest.API_KEY:
        return decode_fetch_answer(data, api_version)
    response_class = ResponseClassRegistry._response_class_registry[api_key][api_version]
    # Four bytes of correlation id, and one of tags if the version is flexible; ApiVersions never has tags.
    head = BytesIO(data[:16])
    header = response_class.parse_header(head)
    return header.correlation_id, response_class.decode(data[head.tell() :])


def sasl_mechanism(name: str, *, username: str = "", password: str = "", token: str = "") -> Any:
    """The client's side of an exchange: `auth_bytes()`, `receive(bytes)`, `is_done()`.

    `receive` raises `ValueError` or `KeyError` when the broker's part of it is wrong.
    """
    # Imported here: the mechanisms bring the library's whole network side along, and few clusters need them.
    from kafka.net.sasl import get_sasl_mechanism
    from kafka.net.sasl.oauth import AbstractTokenProvider

    class Given(AbstractTokenProvider):  # type: ignore[misc]
        def token(self) -> str:
            return token

    if name.startswith("SCRAM-"):  # RFC 5802, 5.1; the library sends the name as it is
        username = username.replace("=", "=3D").replace(",", "=2C")
    return get_sasl_mechanism(name)(
        sasl_mechanism=name,
        sasl_plain_username=username,
        sasl_plain_password=password,
        sasl_oauth_token_provider=Given(),
    )
