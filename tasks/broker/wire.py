"""What the raw side uses of kafka-python's inner modules: message codecs, nothing else. Hence the pin below 3.1."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from kafka.protocol.admin import DescribeLogDirsRequest
from kafka.protocol.api_header import ResponseClassRegistry
from kafka.protocol.consumer import FetchRequest, ListOffsetsRequest
from kafka.protocol.metadata import ApiVersionsRequest, MetadataRequest
from kafka.protocol.producer import InitProducerIdRequest, ProduceRequest

__all__ = [
    "ApiVersionsRequest",
    "DescribeLogDirsRequest",
    "FetchRequest",
    "InitProducerIdRequest",
    "ListOffsetsRequest",
    "MetadataRequest",
    "ProduceRequest",
    "decode_response",
    "encode_request",
]


def encode_request(request: Any, *, correlation_id: int, client_id: str) -> bytes:
    """The request with its header and length, ready for the socket. Its `API_VERSION` must be set."""
    request.with_header(correlation_id=correlation_id, client_id=client_id)
    encoded: bytes = request.encode(framed=True, header=True)
    return encoded


def decode_response(data: memoryview, *, api_key: int, api_version: int) -> tuple[int, Any]:
    """(correlation id, response) of an answer without its length. Byte fields of the response are copies."""
    response_class = ResponseClassRegistry._response_class_registry[api_key][api_version]
    # Four bytes of correlation id, and one of tags if the version is flexible; ApiVersions never has tags.
    head = BytesIO(data[:16])
    header = response_class.parse_header(head)
    return header.correlation_id, response_class.decode(data[head.tell() :])
