"""What all stored JSON documents share: frozen, strict about what is known, keeping what is not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from tasks.model.errors import DamagedError, UnsupportedError

FORMAT_MAJOR = 1
"""The major version of the repository format that this program reads and writes."""

_BLANK = "0" * 64


class Document(BaseModel):
    """A JSON object of the repository. Unknown members are kept, so that they survive a read and a write."""

    model_config = ConfigDict(frozen=True, extra="allow")

    @classmethod
    def from_json(cls, value: object, *, key: str) -> Self:
        """The document that a parsed JSON value stands for. Raises `DamagedError` naming `key` when it is none."""
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise DamagedError(f"{key} is not a valid {cls.__name__}: {where}: {first['msg']}", key=key) from None

    def to_json(self) -> dict[str, Any]:
        """The JSON value, unknown members included."""
        return self.model_dump(mode="json")


def sha256_hex(data: bytes) -> str:
    """Hex SHA-256 of stored bytes."""
    return hashlib.sha256(data).hexdigest()


def encode_json(value: object) -> bytes:
    """Compact UTF-8 JSON with a newline at its end."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def parse_json(data: bytes, *, key: str) -> Any:
    """The JSON value in `data`. Raises `DamagedError` naming `key`."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"{key} is not JSON: {error}", key=key) from None


def check_major(value: Mapping[str, Any], *, key: str) -> None:
    """Raises `UnsupportedError` when the document says that a newer major version of the format wrote it."""
    major = value.get("format")
    if not isinstance(major, int):
        raise DamagedError(f"{key} does not say which format it has", key=key)
    if major > FORMAT_MAJOR:
        raise UnsupportedError(
            f"{key} has repository format {major}; this version reads up to {FORMAT_MAJOR}: "
            f"use a kafka-backup that knows format {major}."
        )


def seal(value: Mapping[str, Any]) -> bytes:
    """The document's bytes with their own digest as last member.

    Layout: compact JSON, `"digest":"<64 hex>"}` and a newline at the end. The digest is the SHA-256 of exactly
    these bytes with the digest's 64 characters set to `0`.
    """
    blank = encode_json({**{k: v for k, v in value.items() if k != "digest"}, "digest": _BLANK})
    return blank[:-67] + sha256_hex(blank).encode() + blank[-3:]


def unseal(data: bytes, *, key: str) -> dict[str, Any]:
    """The value that `seal` was given, `digest` included. Raises `DamagedError` naming `key`, `UnsupportedError`
    for a newer major version."""
    blank = data[:-67] + _BLANK.encode() + data[-3:]
    if len(data) < 67 or sha256_hex(blank).encode() != data[-67:-3] or not data.endswith(b'"}\n'):
        raise DamagedError(f"{key} is damaged: its digest does not match its bytes", key=key)
    value = parse_json(data, key=key)
    if not isinstance(value, dict):
        raise DamagedError(f"{key} is not a JSON object", key=key)
    check_major(value, key=key)
    return value
