"""What the exports of a cluster's state share: the note at their beginning, names with a digest, and the words of
Kafka's tools. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

from tasks.broker.admin_values import QuotaEntity
from tasks.engine.cluster_state.picture import ClusterPicture, Section
from tasks.model.quoting import quoted

_EXPORTED: tuple[tuple[Section, str], ...] = (("acls", "ACLs"), ("quotas", "client quotas"), ("users", "users"))

USER = "User:"
"""The begin of a principal that is a user."""


def comment(text: str) -> str:
    """A line that the tools ignore. Names in it have to be quoted, so that they contain no line end."""
    return f"# {text}"


def head_lines(picture: ClusterPicture, name: str) -> Iterator[str]:
    """The note at the beginning of an export: what it is, and what the point does not contain."""
    yield comment(f"The state of {quoted(name)}, exported by kafka-backup.")
    yield comment("It has topics with the settings that are set on them, and no positions of groups.")
    for section, title in _EXPORTED:
        if section in picture.absent:
            yield comment(f"It has no {title}: {' '.join(picture.absent[section].split())}")


def user_lines(picture: ClusterPicture, how: str) -> Iterator[str]:
    """A note for each user. Kafka does not return secrets, so no export can create a user."""
    for user, mechanisms in sorted((picture.users or {}).items()):
        listed = ", ".join(f"{name} ({count} iterations)" for name, count in sorted(mechanisms.items()))
        yield comment(f"user {quoted(user)}, {listed}: {how}")


def camel_case(word: str) -> str:
    """Kafka's word for its tools: `DescribeConfigs` for `DESCRIBE_CONFIGS`."""
    return "".join(part.capitalize() for part in word.split("_"))


def number_text(value: float) -> str:
    """The number without a fraction if it has none."""
    return str(int(value)) if value == int(value) else repr(value)


def safe_name(name: str, allowed: str) -> str:
    """A name of `allowed` characters (as in a class of a regular expression, lower case) for any text. A name that had
    to be changed gets a part of its digest, so that different names stay different."""
    changed = re.sub(rf"[^{allowed}]+", "-", name.lower()).strip("-._")
    if changed == name:
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{changed[:200]}-{digest}".lstrip("-")


def single_entity(entity: QuotaEntity) -> tuple[str, str | None] | None:
    """The type and the name of an entity with one part. None for a combination."""
    return entity[0] if len(entity) == 1 else None
