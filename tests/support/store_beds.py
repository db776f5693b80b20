"""A bucket of each server behind a proxy that injects faults. A new server needs a `Bed` and a line in `BEDS`."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from hashlib import md5, sha256
from typing import Any, ClassVar

from google_crc32c import value

from tasks.store.azure.azure_store import AzureStore
from tasks.store.gcs.gcs_store import GcsStore
from tasks.store.protocol import Checksum, ObjectStore
from tasks.store.retrying import RetryingStore
from tasks.store.s3.s3_store import S3Store
from tests.support.azurite import ACCOUNT, Azurite
from tests.support.fake_gcs import FakeGcs
from tests.support.object_stores import MinIO
from tests.support.tcp_proxy import Answer, Fault, Method, Name, TcpProxy

TIMEOUT_S = 0.5
OLD = b"old" * 50_000
CUTS: tuple[Name, ...] = ("cut-before", "cut-midway", "cut-after", "cut-answer", "stall", "swallow")
NOT_CARRIED_OUT = ("slow-down", "conflict", "too-many-requests")
ANSWERS = (*NOT_CARRIED_OUT, "error", "late-error", "late-timeout")
FAULTS = (*CUTS, *ANSWERS)
"""What can happen to a request. After `NOT_CARRIED_OUT` nothing was changed."""

OPERATIONS = (
    *("put_if_absent", "put", "compare_and_swap", "compare_and_swap-None", "delete"),
    *("get", "get_range", "head", "list"),
)
WRITES = OPERATIONS[:5]


@dataclass(frozen=True)
class Bed(ABC):
    """A bucket, seen by its owner and through a proxy."""

    answers: ClassVar[Mapping[str, Answer]]
    """How the server would answer, by the names in `ANSWERS`."""

    methods: ClassVar[Mapping[str, Method]]
    """The HTTP method of each of `OPERATIONS`."""

    bodiless: ClassVar[tuple[str, ...]]
    """The operations whose answers have no body, so that only their heads can be cut."""

    proxy: TcpProxy
    direct: ObjectStore
    through: ObjectStore

    @property
    def patient(self) -> ObjectStore:
        """What the program uses, with short waits."""
        return RetryingStore(self.through, deadline_ms=20_000, first_wait_ms=1, longest_wait_ms=20)

    @abstractmethod
    def checksum(self, body: bytes) -> Checksum:
        """What a write of these bytes returns."""

    @abstractmethod
    def writes(self, key: str) -> list[bytes]:
        """What was ever written under the key, newest first."""

    @abstractmethod
    def begin(self) -> None:
        """Begin a test with the object `old`, whose bytes are `OLD`, and nothing else."""

    @abstractmethod
    def nowhere(self, endpoint: str) -> ObjectStore:
        """The store of a bucket at an endpoint at which nothing listens."""

    def fault(self, name: str) -> Fault:
        """The fault of `FAULTS` with this name."""
        return self.answers[name] if name in self.answers else next(cut for cut in CUTS if cut == name)


@dataclass(frozen=True)
class S3Bed(Bed):
    """A versioned bucket of MinIO, so that every write that landed can be counted."""

    answers: ClassVar[Mapping[str, Answer]] = {
        "slow-down": Answer(503, "SlowDown"),
        "conflict": Answer(409, "ConditionalRequestConflict"),
        "too-many-requests": Answer(429, "TooManyRequests"),
        "error": Answer(500, "InternalError"),
        "late-error": Answer(500, "InternalError", is_late=True),
        "late-timeout": Answer(504, "GatewayTimeout", is_late=True),
    }
    methods: ClassVar[Mapping[str, Method]] = {
        **dict.fromkeys(OPERATIONS, "GET"),
        **dict.fromkeys(WRITES, "PUT"),
        "delete": "POST",
        "head": "HEAD",
    }
    bodiless = ("head", *WRITES[:4])

    minio: MinIO
    bucket: str

    def checksum(self, body: bytes) -> Checksum:
        return Checksum(kind="sha256", value=sha256(body).hexdigest())

    def writes(self, key: str) -> list[bytes]:
        return [self._read(one) for one in self._versions(key)]

    def begin(self) -> None:
        for one in self._versions(""):
            self.minio.client.delete_object(Bucket=self.bucket, Key=one["Key"], VersionId=one["VersionId"])
        self.direct.put("old", [OLD])

    def nowhere(self, endpoint: str) -> ObjectStore:
        return S3Store(self.minio.settings(self.bucket, endpoint=endpoint))

    def _versions(self, prefix: str) -> list[Any]:
        found = self.minio.client.list_object_versions(Bucket=self.bucket, Prefix=prefix)
        return list(found.get("Versions", []))

    def _read(self, version: Any) -> bytes:
        answer = self.minio.client.get_object(Bucket=self.bucket, Key=version["Key"], VersionId=version["VersionId"])
        return bytes(answer["Body"].read())


@contextmanager
def s3_bed(minio: MinIO) -> Iterator[S3Bed]:
    """A new bucket of MinIO."""
    bucket = minio.new_bucket()
    minio.client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    with TcpProxy(minio.port) as proxy:
        through = S3Store(
            minio.settings(bucket, endpoint=proxy.endpoint), connect_timeout_s=TIMEOUT_S, read_timeout_s=TIMEOUT_S
        )
        yield S3Bed(proxy=proxy, direct=S3Store(minio.settings(bucket)), through=through, minio=minio, bucket=bucket)


class GcsAnswer(Answer):
    """An error in the form of Google Cloud Storage. `code` is the reason."""

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Content-Type": "application/json"}

    @property
    def body(self) -> bytes:
        one = {"domain": "global", "reason": self.code, "message": "armed fault"}
        return json.dumps({"error": {"code": self.status, "message": "armed fault", "errors": [one]}}).encode()


@dataclass(frozen=True)
class GcsBed(Bed):
    """A bucket of fake-gcs-server. It lists no old generations, so the proxy counts the uploads that the server
    accepted, and their generations are read one by one. An upload that the server accepts without an answer would show
    only in the newest bytes."""

    answers: ClassVar[Mapping[str, Answer]] = {
        "slow-down": GcsAnswer(429, "rateLimitExceeded"),
        "conflict": GcsAnswer(409, "conflict"),
        "too-many-requests": GcsAnswer(403, "userRateLimitExceeded"),
        "error": GcsAnswer(503, "backendError"),
        "late-error": GcsAnswer(500, "internalError", is_late=True),
        "late-timeout": GcsAnswer(504, "gatewayTimeout", is_late=True),
    }
    methods: ClassVar[Mapping[str, Method]] = {
        **dict.fromkeys(OPERATIONS, "GET"),
        **dict.fromkeys(WRITES, "POST"),
        "delete": "DELETE",
    }
    bodiless = ("delete",)

    server: FakeGcs
    bucket: str

    def checksum(self, body: bytes) -> Checksum:
        return Checksum(kind="crc32c", value=value(body).to_bytes(4, "big").hex())

    def writes(self, key: str) -> list[bytes]:
        answers = [json.loads(body) for path, body in self.proxy.carried_out if path.startswith("/upload/")]
        accepted = [one["generation"] for one in reversed(answers) if one["name"] == key]
        found = [self.server.read(self.bucket, key, generation=generation) for generation in accepted]
        assert not found or found[0] == self.server.read(self.bucket, key)
        return [*found, *([OLD] if key == "old" else [])]

    def begin(self) -> None:
        self.proxy.carried_out.clear()
        for name in self.server.names(self.bucket):
            self.server.delete(self.bucket, name)
        self.direct.put("old", [OLD])

    def nowhere(self, endpoint: str) -> ObjectStore:
        return GcsStore(self.server.settings(self.bucket, endpoint=endpoint))


@contextmanager
def gcs_bed(server: FakeGcs) -> Iterator[GcsBed]:
    """A new bucket of fake-gcs-server."""
    bucket = server.new_bucket(has_versions=True)
    with TcpProxy(server.port) as proxy:
        through = GcsStore(
            server.settings(bucket, endpoint=proxy.endpoint), connect_timeout_s=TIMEOUT_S, read_timeout_s=TIMEOUT_S
        )
        direct = GcsStore(server.settings(bucket))
        yield GcsBed(proxy=proxy, direct=direct, through=through, server=server, bucket=bucket)


@dataclass(frozen=True)
class AzureBed(Bed):
    """A container of Azurite, which keeps no older versions. So the proxy's record shows the writes that landed."""

    answers: ClassVar[Mapping[str, Answer]] = {
        "slow-down": Answer(503, "ServerBusy"),
        "conflict": Answer(409, "AccountBeingCreated"),
        "too-many-requests": Answer(429, "TooManyRequests"),
        "error": Answer(500, "InternalError"),
        "late-error": Answer(500, "InternalError", is_late=True),
        "late-timeout": Answer(500, "OperationTimedOut", is_late=True),
    }
    methods: ClassVar[Mapping[str, Method]] = {
        **dict.fromkeys(OPERATIONS, "GET"),
        **dict.fromkeys(WRITES, "PUT"),
        "delete": "DELETE",
        "head": "HEAD",
    }
    bodiless = ("head", *WRITES)

    azurite: Azurite
    container: str

    def checksum(self, body: bytes) -> Checksum:
        return Checksum(kind="md5", value=md5(body, usedforsecurity=False).hexdigest())

    def writes(self, key: str) -> list[bytes]:
        path = f"/{self.container}/{key}"
        return [body for sent, body in reversed(self.proxy.carried_out_bodies) if sent.partition("?")[0].endswith(path)]

    def begin(self) -> None:
        self.direct.delete([info.key for info in self.direct.list("")])
        self.proxy.carried_out_bodies.clear()
        self.through.put("old", [OLD])

    def nowhere(self, endpoint: str) -> ObjectStore:
        return AzureStore(self.azurite.settings(self.container, endpoint=f"{endpoint}/{ACCOUNT}"))


@contextmanager
def azure_bed(azurite: Azurite) -> Iterator[AzureBed]:
    """A new container of Azurite."""
    container = azurite.new_container()
    with TcpProxy(azurite.port) as proxy:
        through = AzureStore(
            azurite.settings(container, endpoint=f"{proxy.endpoint}/{ACCOUNT}"),
            connect_timeout_s=TIMEOUT_S,
            read_timeout_s=TIMEOUT_S,
        )
        direct = AzureStore(azurite.settings(container))
        yield AzureBed(proxy=proxy, direct=direct, through=through, azurite=azurite, container=container)


@dataclass(frozen=True)
class BedKind:
    """The fixture of a server, which is also the marker of its tests, and the function that makes a bed on it."""

    server: str
    make: Callable[[Any], AbstractContextManager[Bed]]


BEDS: Mapping[str, BedKind] = {
    "s3": BedKind("minio", s3_bed),
    "azure": BedKind("azurite", azure_bed),
    "gcs": BedKind("fake_gcs", gcs_bed),
}
