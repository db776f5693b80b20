"""The stores of the contract suite. A new store needs the line that opens it empty."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

from tasks.store.azure.azure_store import AzureStore
from tasks.store.gcs.gcs_store import GcsStore
from tasks.store.local.local_store import LocalStore
from tasks.store.memory.memory_store import MemoryStore
from tasks.store.protocol import ObjectInfo, ObjectStore
from tasks.store.retrying import RetryingStore
from tasks.store.s3.s3_store import S3Store
from tasks.store.split import SplitStore
from tests.support.azurite import Azurite
from tests.support.fake_gcs import FakeGcs
from tests.support.faults import FaultyStore
from tests.support.object_stores import MinIO


def retrying(inner: ObjectStore, *, lost: bool) -> ObjectStore:
    """Every other call fails and is repeated at once; `lost`: writes are stored and their responses are lost."""
    faulty = FaultyStore(inner)
    faulty.fail_every_other_call(lost=lost)
    return RetryingStore(faulty, sleep=lambda seconds: None)


STORES: dict[str, Callable[[Path], ObjectStore]] = {
    "memory": lambda folder: MemoryStore(),
    "local": lambda folder: LocalStore(folder / "store", create=True),
    "faulty-unarmed": lambda folder: FaultyStore(MemoryStore()),
    "split": lambda folder: SplitStore(MemoryStore("fixed"), MemoryStore("mutable"), is_data),
    "retrying-failures": lambda folder: retrying(MemoryStore(), lost=False),
    "retrying-lost-responses": lambda folder: retrying(MemoryStore(), lost=True),
    "retrying-lost-responses-local": lambda folder: retrying(LocalStore(folder / "store", create=True), lost=True),
}

BUCKETS: dict[str, tuple[str, Callable[[Any], ObjectStore]]] = {
    "s3": ("minio", lambda minio: s3(minio, prefix=f"team/{uuid.uuid4().hex}")),
    "s3-tls": ("minio_tls", lambda minio: s3(minio)),
    "s3-single-writer": ("minio", lambda minio: s3(minio, single_writer=True)),
    "gcs": ("fake_gcs", lambda server: gcs(server, prefix=f"team/{uuid.uuid4().hex}")),
    "gcs-tls": ("fake_gcs_tls", lambda server: gcs(server)),
    "azure": ("azurite", lambda azurite: azure(azurite, prefix=f"team/{uuid.uuid4().hex}")),
}
"""Stores of a server: the name of its fixture, and the function that opens one of its buckets."""


LOCKED_FOR = "3s"
LOCKED_MS = 3_000


def is_data(key: str) -> bool:
    """The immutable objects of the stores with locks."""
    return key.startswith("data/")


def _locking_memory() -> MemoryStore:
    return MemoryStore(is_immutable=is_data, lock_ms=LOCKED_MS)


LOCKING: dict[str, Callable[[], ObjectStore]] = {
    "memory": _locking_memory,
    "faulty-unarmed": lambda: FaultyStore(_locking_memory()),
    "retrying-failures": lambda: retrying(_locking_memory(), lost=False),
}
"""Stores that lock immutable objects for `LOCKED_FOR`."""

LOCKING_BUCKETS: dict[str, Callable[[MinIO], ObjectStore]] = {
    "s3-compliance": lambda minio: locking_s3(minio, "compliance"),
    "s3-governance": lambda minio: locking_s3(minio, "governance"),
}


def locking_s3(minio: MinIO, mode: str) -> S3Store:
    """The store of a new bucket with locks."""
    bucket = minio.new_bucket(has_locks=True)
    settings = minio.settings(bucket, "team", object_lock_mode=mode, object_lock_for=LOCKED_FOR)
    return S3Store(settings, is_immutable=is_data)


def s3(minio: MinIO, prefix: str = "", **changes: Any) -> ObjectStore:
    """The store of a new bucket, or of a prefix of it."""
    return S3Store(minio.settings(minio.new_bucket(), prefix, **changes))


def gcs(server: FakeGcs, prefix: str = "") -> ObjectStore:
    """The store of a new bucket, or of a prefix of it."""
    return GcsStore(server.settings(server.new_bucket(), prefix))


def azure(azurite: Azurite, prefix: str = "") -> ObjectStore:
    """The store of a new container, or of a prefix of it."""
    return AzureStore(azurite.settings(azurite.new_container(), prefix))


def create(store: ObjectStore, key: str, data: bytes = b"x") -> ObjectInfo:
    """Put-if-absent with the right digest."""
    return store.put_if_absent(key, [data], sha256=sha256(data).hexdigest())
