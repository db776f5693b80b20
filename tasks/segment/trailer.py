"""The trailer: JSON before the seek table that states which partitions the frames of an object belong to.

The index lines of an object can be rebuilt from the object alone, with its trailer. Without the trailer that is
impossible, because batches contain no topic names, and an abort marker can be beyond the object.

The bytes are a skippable frame (184D2A50) around a sealed JSON document (`tasks/model/seal.py`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tasks.model.errors import DamagedError, UnsupportedError
from tasks.model.ranges import AbortedRange, Gap
from tasks.model.seal import SEAL_BYTES, is_sealed, seal
from tasks.segment.seek_table import SKIPPABLE_HEADER, skippable_frame

FORMAT_MAJOR: Final = 1
"""The major version of the data object format that this program reads and writes."""

_TRAILER_MAGIC: Final = 0x184D2A50


@dataclass(frozen=True, slots=True, kw_only=True)
class TrailerSegment:
    """Offsets [first, next) of one partition, in the next `frames` frames of the object.

    `captured_ms` is the time of the capture in Unix milliseconds. `epochs` are (leader epoch, base offset of its first
    batch). `gaps` are inside the range. `aborted` can reach beyond it, because they consist of whole batches. `unknown`
    are members that a later minor version wrote.
    """

    topic: str
    topic_id: str
    partition: int
    first: int
    next: int
    captured_ms: int
    epochs: tuple[tuple[int, int], ...]
    aborted: tuple[AbortedRange, ...]
    gaps: tuple[Gap, ...]
    frames: int
    unknown: Mapping[str, object] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """The JSON value, with the unknown members."""
        known = {name: getattr(self, name) for name in self.__slots__ if name != "unknown"}
        return {**known, **self.unknown}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrailerDocument:
    """The contents of a trailer: the origin of the object, and its segments in the order of their frames."""

    repository_id: str
    set: str
    run: str
    segments: tuple[TrailerSegment, ...]
    unknown: Mapping[str, object] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """The JSON value, with the unknown members and without the digest."""
        origin = {"repository_id": self.repository_id, "set": self.set, "run": self.run}
        segments = [segment.to_json() for segment in self.segments]
        return {"format": FORMAT_MAJOR, **origin, "segments": segments, **self.unknown}


def trailer_document(
    *, repository_id: str, set_name: str, run: str, segments: Sequence[TrailerSegment]
) -> dict[str, object]:
    """The JSON value of a new object's trailer."""
    return TrailerDocument(repository_id=repository_id, set=set_name, run=run, segments=tuple(segments)).to_json()


def encode_trailer(document: Mapping[str, object]) -> bytes:
    """The stored bytes of a trailer: a skippable frame with the sealed document."""
    return skippable_frame(_TRAILER_MAGIC, seal(document))


def decode_trailer(stored: bytes) -> TrailerDocument:
    """The document in the stored bytes of a trailer. Raises `DamagedError`, whose message does not name the object, if
    they are damaged, and `UnsupportedError` for a newer major version."""
    if len(stored) < SKIPPABLE_HEADER.size + SEAL_BYTES:
        raise DamagedError("the end of its trailer is missing")
    magic, content_bytes = SKIPPABLE_HEADER.unpack_from(stored)
    content = stored[SKIPPABLE_HEADER.size :]
    if magic != _TRAILER_MAGIC or content_bytes != len(content):
        raise DamagedError("its trailer does not begin where it should")
    if not is_sealed(content):
        raise DamagedError("the digest of its trailer does not match")
    try:
        return _document(json.loads(content))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise DamagedError(f"its trailer does not follow the format: {error!r}") from None


def _document(value: Any) -> TrailerDocument:
    rest = dict(value)
    del rest["digest"]
    major = _whole(rest.pop("format"))
    if major > FORMAT_MAJOR:
        raise UnsupportedError(
            f"The data object has format {major}; this version reads up to {FORMAT_MAJOR}: "
            f"use a kafka-backup that knows data object format {major}."
        )
    return TrailerDocument(
        repository_id=_text(rest.pop("repository_id")),
        set=_text(rest.pop("set")),
        run=_text(rest.pop("run")),
        segments=tuple(_segment(segment) for segment in rest.pop("segments")),
        unknown=rest,
    )


def _segment(value: Any) -> TrailerSegment:
    rest = dict(value)
    return TrailerSegment(
        topic=_text(rest.pop("topic")),
        topic_id=_text(rest.pop("topic_id")),
        partition=_whole(rest.pop("partition")),
        first=_whole(rest.pop("first")),
        next=_whole(rest.pop("next")),
        captured_ms=_whole(rest.pop("captured_ms")),
        epochs=tuple((_whole(epoch), _whole(offset)) for epoch, offset in rest.pop("epochs")),
        aborted=tuple(AbortedRange(_whole(a), _whole(b), _whole(c)) for a, b, c in rest.pop("aborted")),
        gaps=tuple(Gap(_whole(first), _whole(end), _text(reason)) for first, end, reason in rest.pop("gaps")),
        frames=_whole(rest.pop("frames")),
        unknown=rest,
    )


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{value!r} is not a whole number")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value
