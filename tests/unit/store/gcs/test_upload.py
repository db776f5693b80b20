"""The body of an upload: two parts, a checksum, and the same bytes whenever it is sent."""

from __future__ import annotations

import json
from base64 import b64encode
from email import message_from_bytes
from typing import Any

from google_crc32c import value

from tasks.store.gcs.upload import UploadBody, checksum_of
from tasks.store.protocol import Body

BUFFERS: Body = [b"first", memoryview(b"second" * 100_000), b"", b"third"]
WHOLE = b"".join(BUFFERS)


def test_the_body_is_the_properties_and_the_bytes_in_two_parts() -> None:
    upload = UploadBody(BUFFERS)
    sent = b"".join(upload)
    message = message_from_bytes(f"Content-Type: {upload.content_type}\r\n\r\n".encode() + sent)
    parts: Any = message.get_payload()
    properties, content = (part.get_payload(decode=True) for part in parts)

    assert len(sent) == len(upload)
    assert {
        "crc32c": b64encode(value(WHOLE).to_bytes(4, "big")).decode(),
        "contentType": "application/octet-stream",
    } == json.loads(properties)
    assert WHOLE == content
    assert len(WHOLE) == upload.size_bytes


def test_a_body_that_is_sent_again_is_the_same() -> None:
    upload = UploadBody(BUFFERS)
    assert b"".join(upload) == b"".join(upload)


def test_large_buffers_are_sent_in_parts_without_a_copy() -> None:
    large = memoryview(bytes(1 << 20))
    parts = [part for part in UploadBody([large]) if part.obj is large.obj]
    assert len(large) == sum(map(len, parts))
    assert max(map(len, parts)) <= 256 << 10


def test_the_checksum_of_nothing_is_zero() -> None:
    assert bytes(4) == checksum_of([]) == checksum_of([b"", memoryview(b"")])
