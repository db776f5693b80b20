"""The body of an upload in one request: a JSON document with the properties of the object, and its bytes.

    --BOUNDARY
    Content-Type: application/json; charset=UTF-8

    {"crc32c": "yZRlqg==", "contentType": "application/octet-stream"}
    --BOUNDARY
    Content-Type: application/octet-stream

    the bytes of the object
    --BOUNDARY--

Every line ends with CR LF. Google's library would send large objects in several requests, and copy small ones twice.
"""

from __future__ import annotations

import json
import secrets
from base64 import b64encode
from collections.abc import Iterator

from google_crc32c import extend

from tasks.store.protocol import Body, body_size

CONTENT_TYPE = "application/octet-stream"
_PART_BYTES = 256 << 10
"""How many bytes are sent at once. The timeout for a pause counts from part to part."""


class UploadBody:
    """The body of a request. Each iteration begins at its start, so that the request can be sent again."""

    def __init__(self, body: Body) -> None:
        boundary = secrets.token_hex(16)
        self.crc32c = checksum_of(body)
        properties = json.dumps({"crc32c": b64encode(self.crc32c).decode(), "contentType": CONTENT_TYPE})
        self.content_type = f"multipart/related; boundary={boundary}"
        self.size_bytes = body_size(body)
        self._parts: Body = [
            f"--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{properties}\r\n"
            f"--{boundary}\r\nContent-Type: {CONTENT_TYPE}\r\n\r\n".encode(),
            *body,
            f"\r\n--{boundary}--\r\n".encode(),
        ]

    def __len__(self) -> int:
        return body_size(self._parts)

    def __iter__(self) -> Iterator[memoryview]:
        for part in self._parts:
            view = memoryview(part)
            for at in range(0, len(view), _PART_BYTES):
                yield view[at : at + _PART_BYTES]


def checksum_of(body: Body) -> bytes:
    """The CRC-32C of the body, most significant byte first."""
    crc = 0
    for part in body:
        for at in range(0, len(part), _PART_BYTES):
            crc = extend(crc, bytes(part[at : at + _PART_BYTES]))
    return crc.to_bytes(4, "big")
