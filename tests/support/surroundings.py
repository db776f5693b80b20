"""What is there around a run: the files of a folder, the buckets of a store, and the topics and groups of a cluster."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from confluent_kafka import TopicCollection
from confluent_kafka.admin import AdminClient


class Surroundings(NamedTuple):
    """Two of them are equal if nothing was made, changed or removed between them. Of a repository that exists the
    objects count, without the leases of its sets, because each run renews the lease of its set.

    `files` has the SHA-256 of each file by its path, and None for a folder. `buckets` are the names of all buckets,
    `objects` the entity tags of the objects in one of them. `topics` has the id of each topic.
    """

    files: Mapping[str, str | None]
    buckets: frozenset[str]
    objects: Mapping[str, str]
    topics: Mapping[str, str]
    groups: frozenset[str]


class Observer:
    """Looks at a cluster and at a store behind the program's back. `s3_client` is boto3's own client."""

    def __init__(self, bootstrap: str, s3_client: Any) -> None:
        self._admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
        self._s3_client = s3_client

    def look(self, folder: Path, bucket: str) -> Surroundings:
        """Everything below the folder, in the bucket and on the cluster."""
        names = list(self._admin.list_topics(timeout=30).topics)
        described = self._admin.describe_topics(TopicCollection(names))
        return Surroundings(
            files=_files(folder),
            buckets=frozenset(one["Name"] for one in self._s3_client.list_buckets()["Buckets"]),
            objects=self._objects(bucket),
            topics={name: str(one.result(30).topic_id) for name, one in described.items()},
            groups=frozenset(one.group_id for one in self._admin.list_consumer_groups().result(30).valid),
        )

    def _objects(self, bucket: str) -> dict[str, str]:
        pages = self._s3_client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        found = {one["Key"]: one["ETag"] for page in pages for one in page.get("Contents", [])}
        has_repository = any(key.endswith("repository.json") for key in found)
        return {key: tag for key, tag in found.items() if not (has_repository and _is_lease(key))}


def _files(folder: Path) -> dict[str, str | None]:
    repositories = [path.parent for path in folder.rglob("repository.json")]
    return {
        str(path.relative_to(folder)): None if path.is_dir() else hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if not any(_is_incidental(path, repository) for repository in repositories)
    }


def _is_incidental(path: Path, repository: Path) -> bool:
    """Whether this is a folder, a lock file or a set's lease in the repository, and not one of its lasting objects."""
    if not path.is_relative_to(repository):
        return False
    return path.is_dir() or ".locks" in path.parts or _is_lease(str(path.relative_to(repository)))


def _is_lease(key: str) -> bool:
    return re.search(r"(^|/)leases/[^_/][^/]*\.json$", key) is not None
