"""The base class of all stored JSON documents. Reads and writes their bytes, and refuses documents of a newer
format."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from tasks.model.errors import DamagedError, KafkaBackupError, UnsupportedError
from tasks.model.partition import Partition
from tasks.model.seal import is_sealed
from tasks.model.seal import seal as seal

FORMAT_MAJOR = 1
"""The major version of the repository format that this program reads and writes."""


class Document(BaseModel):
    """The base of the repository's JSON objects. Its values cannot be changed. Members that this version does not know
    are kept, so that they survive a read and a write.

    A member whose type is a `Literal` is an enumeration. A text that is not one of its values was written by a later
    version: this is not damage, and reading it raises `UnsupportedError`.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    @classmethod
    def from_json(cls, value: object, *, key: str) -> Self:
        """The document in a parsed JSON value. Raises `DamagedError` with `key` if it is not a valid document, and
        `UnsupportedError` if it contains an unknown value of an enumeration."""
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            raise _invalid(cls, error, key) from None

    @classmethod
    def from_text(cls, text: bytes, *, key: str) -> Self:
        """The document in JSON text. Faster than `parse_json` and `from_json`, and raises the same errors."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise _invalid(cls, error, key) from None

    def to_json(self) -> dict[str, Any]:
        """The JSON value, with the unknown members."""
        return self.model_dump(mode="json")


class PartitionDocument(Document):
    """A document about one partition of one incarnation of a topic."""

    topic: str
    topic_id: str
    partition: int

    @property
    def source(self) -> Partition:
        """The partition of the source cluster that the document is about."""
        return Partition(self.topic, self.topic_id, self.partition)


DocumentT = TypeVar("DocumentT", bound=Document)


def sha256_hex(data: bytes) -> str:
    """The SHA-256 of bytes in lower-case hex."""
    return hashlib.sha256(data).hexdigest()


def encode_json(value: object) -> bytes:
    """Compact UTF-8 JSON with a newline at its end."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def parse_json(data: bytes, *, key: str) -> Any:
    """The JSON value in `data`. Raises `DamagedError` with `key` if it is not JSON."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"{key} is not JSON: {error}", key=key) from None


def check_major(value: Mapping[str, Any], *, key: str) -> None:
    """Raises `UnsupportedError` if the document was written in a newer major version of the format, and
    `DamagedError` if it does not state its format."""
    major = value.get("format")
    if not isinstance(major, int):
        raise DamagedError(f"{key} does not state its format", key=key)
    if major > FORMAT_MAJOR:
        raise UnsupportedError(
            f"{key} has repository format {major}; this version reads up to {FORMAT_MAJOR}: "
            f"use a kafka-backup that knows format {major}."
        )


def unseal(data: bytes, *, key: str) -> dict[str, Any]:
    """The value of a sealed document, `digest` included. Raises `DamagedError` with `key` if the bytes are not what was
    written, and `UnsupportedError` for a newer major version."""
    if not is_sealed(data):
        raise DamagedError(f"{key} is damaged: its digest does not match its bytes", key=key)
    value = parse_json(data, key=key)
    if not isinstance(value, dict):
        raise DamagedError(f"{key} is not a JSON object", key=key)
    check_major(value, key=key)
    return value


def open_sealed(data: bytes, kind: type[DocumentT], *, key: str) -> DocumentT:
    """The document in sealed bytes. Raises what `unseal` and `from_json` raise."""
    return kind.from_json(unseal(data, key=key), key=key)


def _invalid(kind: type[Document], error: ValidationError, key: str) -> KafkaBackupError:
    """The error for a value that is not a valid document. An unknown value of an enumeration is reported first, because
    a later version that wrote it can also have left out members that this version requires."""
    details = error.errors(include_url=False)
    for detail in details:
        if detail["type"] == "literal_error" and isinstance(detail["input"], str):
            what = f"{_place(detail['loc'])} {detail['input']!r}"
            return UnsupportedError(f"{key} has the unknown {what}: use the kafka-backup that wrote it.")
    first = details[0]
    if first["type"] == "json_invalid":
        return DamagedError(f"{key} is not JSON: {first['msg']}", key=key)
    return DamagedError(f"{key} is not a valid {kind.__name__}: {_place(first['loc'])}: {first['msg']}", key=key)


def _place(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location)
