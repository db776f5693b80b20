"""S3 behind a proxy that cuts, stalls, swallows and answers for it: whatever happens to a request, it happens once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256

import pytest

from tasks.model.errors import OutcomeUnknownError, StoreError, StoreUnavailableError
from tasks.repository.entries import NoteEntry
from tasks.repository.leases import acquire
from tasks.store.protocol import Body, Checksum, ObjectStore
from tasks.store.retrying import RetryingStore
from tasks.store.s3.s3_store import S3Store
from tests.support.made_backup import SET, append_note, make_repository
from tests.support.object_stores import MinIO
from tests.support.tcp_proxy import Answer, Fault, Method, TcpProxy

pytestmark = pytest.mark.minio

TIMEOUT_S = 0.5
BODY: Body = [bytes([number]) * 50_000 for number in range(5)]
WHOLE = b"".join(BODY)
DIGEST = sha256(WHOLE).hexdigest()
OLD = b"old" * 50_000

SLOW_DOWN = Answer(503, "SlowDown")
CONFLICT = Answer(409, "ConditionalRequestConflict")
FAULTS: tuple[Fault, ...] = (
    *("cut-before", "cut-midway", "cut-after", "cut-answer", "stall", "swallow"),
    *(SLOW_DOWN, CONFLICT, Answer(500, "InternalError"), Answer(500, "InternalError", is_late=True)),
    *(Answer(504, "GatewayTimeout", is_late=True), Answer(429, "TooManyRequests")),
)
NOT_CARRIED_OUT = (SLOW_DOWN, CONFLICT, Answer(429, "TooManyRequests"))


@dataclass(frozen=True)
class Bed:
    """A versioned bucket, seen by its owner and through a proxy: so that every write that landed can be counted."""

    minio: MinIO
    proxy: TcpProxy
    bucket: str
    direct: S3Store
    through: S3Store

    @property
    def patient(self) -> ObjectStore:
        """What the program uses, with short waits."""
        return RetryingStore(self.through, deadline_ms=20_000, first_wait_ms=1, longest_wait_ms=20)

    def versions(self, key: str) -> list[bytes]:
        """What was ever written under the key, newest first."""
        client = self.minio.client
        found = client.list_object_versions(Bucket=self.bucket, Prefix=key).get("Versions", [])
        return [
            client.get_object(Bucket=self.bucket, Key=key, VersionId=one["VersionId"])["Body"].read() for one in found
        ]


@pytest.fixture(scope="module")
def shared(minio: MinIO) -> Iterator[Bed]:
    bucket = minio.new_bucket()
    minio.client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    with TcpProxy(minio.port) as proxy:
        through = S3Store(
            minio.settings(bucket, endpoint=proxy.endpoint), connect_timeout_s=TIMEOUT_S, read_timeout_s=TIMEOUT_S
        )
        yield Bed(minio, proxy, bucket, S3Store(minio.settings(bucket)), through)


@pytest.fixture
def bed(shared: Bed) -> Iterator[Bed]:
    """With the object `old` in it."""
    shared.direct.put("old", [OLD])
    yield shared
    shared.proxy.calm()
    for one in shared.minio.client.list_object_versions(Bucket=shared.bucket).get("Versions", []):
        shared.minio.client.delete_object(Bucket=shared.bucket, Key=one["Key"], VersionId=one["VersionId"])


def _create(bed: Bed, store: ObjectStore) -> None:
    info = store.put_if_absent("new", BODY, sha256=DIGEST)
    assert Checksum(kind="sha256", value=DIGEST) == info.checksum
    assert (bed.direct.head("new").version, len(WHOLE)) == (info.version, info.size_bytes)
    assert [WHOLE] == bed.versions("new")


def _put(bed: Bed, store: ObjectStore) -> None:
    store.put("old", BODY)
    assert WHOLE == bed.direct.get("old")[0]


def _swap(bed: Bed, store: ObjectStore) -> None:
    info = store.compare_and_swap("old", BODY, expected=bed.direct.head("old").version)
    assert bed.direct.head("old").version == info.version
    assert [WHOLE, OLD] == bed.versions("old")


def _swap_nothing(bed: Bed, store: ObjectStore) -> None:
    store.compare_and_swap("new", BODY, expected=None)
    assert [WHOLE] == bed.versions("new")


def _get(bed: Bed, store: ObjectStore) -> None:
    data, info = store.get("old")
    assert (OLD, bed.direct.head("old").version) == (data, info.version)


def _get_range(bed: Bed, store: ObjectStore) -> None:
    assert OLD[7:100_007] == store.get_range("old", 7, 100_000)


def _head(bed: Bed, store: ObjectStore) -> None:
    assert bed.direct.head("old") == store.head("old")


def _list(bed: Bed, store: ObjectStore) -> None:
    assert ["old"] == [info.key for info in store.list("")]


def _delete(bed: Bed, store: ObjectStore) -> None:
    store.delete(["never", "old"])
    assert [] == list(bed.direct.list(""))


OPERATIONS: dict[str, tuple[Method, Callable[[Bed, ObjectStore], None]]] = {
    "put_if_absent": ("PUT", _create),
    "put": ("PUT", _put),
    "compare_and_swap": ("PUT", _swap),
    "compare_and_swap-None": ("PUT", _swap_nothing),
    "delete": ("POST", _delete),
    "get": ("GET", _get),
    "get_range": ("GET", _get_range),
    "head": ("HEAD", _head),
    "list": ("GET", _list),
}
WRITES = ("PUT", "POST")


@pytest.mark.parametrize("fault", FAULTS, ids=str)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_fault_costs_a_repetition_and_nothing_else(bed: Bed, operation: str, fault: Fault) -> None:
    method, check = OPERATIONS[operation]
    bed.proxy.struck.clear()
    bed.proxy.arm(fault, method=method)

    check(bed, bed.patient)

    assert [fault] == bed.proxy.struck


@pytest.mark.parametrize("operation", ["put_if_absent", "compare_and_swap", "delete", "get", "list"])
def test_any_number_of_faults_in_a_row_is_survived(bed: Bed, operation: str) -> None:
    method, check = OPERATIONS[operation]
    bed.proxy.struck.clear()
    for fault in ("cut-after", SLOW_DOWN, "swallow", "cut-midway", CONFLICT):
        bed.proxy.arm(fault, method=method)

    check(bed, bed.patient)

    assert ["cut-after", SLOW_DOWN, "swallow", "cut-midway", CONFLICT] == bed.proxy.struck


@pytest.mark.parametrize("operation", [name for name, (method, _) in OPERATIONS.items() if method == "PUT"])
def test_a_bit_that_flips_on_the_way_is_noticed_by_the_store_and_the_request_sent_again(
    bed: Bed, operation: str
) -> None:
    method, check = OPERATIONS[operation]
    bed.proxy.struck.clear()
    bed.proxy.arm("flip", method=method)

    check(bed, bed.patient)

    assert ["flip"] == bed.proxy.struck


@pytest.mark.parametrize("fault", FAULTS, ids=str)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_error_says_whether_the_request_may_have_been_carried_out(bed: Bed, operation: str, fault: Fault) -> None:
    method, check = OPERATIONS[operation]
    if fault == "cut-answer" and method in ("HEAD", "PUT"):
        return  # the answer has no body
    bed.proxy.arm(fault, method=method)

    with pytest.raises(StoreError) as raised:
        check(bed, bed.through)

    may_have_landed = method in WRITES and fault not in NOT_CARRIED_OUT
    assert (OutcomeUnknownError if may_have_landed else StoreUnavailableError) is type(raised.value)
    assert "armed" not in str(raised.value)


def test_a_store_that_does_not_listen_is_unavailable_and_writes_nothing(minio: MinIO) -> None:
    with TcpProxy(minio.port) as proxy:
        store = S3Store(minio.settings(minio.new_bucket(), endpoint=proxy.endpoint))
    for use in (lambda: store.put("a", BODY), lambda: store.get("a")):
        with pytest.raises(StoreUnavailableError, match="cannot be reached: connection refused"):
            use()


def test_entries_of_many_writers_through_a_storm_are_each_there_once_in_one_chain(bed: Bed) -> None:
    make_repository(bed.direct)
    bed.proxy.storm(FAULTS, share=0.2, seed=7)
    texts = [f"note {number}" for number in range(24)]

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda text: append_note(make_repository(bed.patient), text), texts))

    bed.proxy.calm()
    log = make_repository(bed.direct).log(SET)
    assert sorted(texts) == sorted(entry.text for entry in log.entries() if isinstance(entry, NoteEntry))
    assert len(texts) == log.state().seq
    assert [1] * len(texts) == [
        len(bed.versions(f"meta/{SET}/log/{seq:010d}.json")) for seq in range(1, len(texts) + 1)
    ]


def test_of_many_that_want_a_lease_through_a_storm_one_gets_it(bed: Bed) -> None:
    bed.proxy.storm(FAULTS, share=0.2, seed=11)
    lease = acquire(bed.patient, "leases/x.json")
    for _ in range(20):
        lease.renew()

    bed.proxy.calm()
    [current] = bed.versions("leases/x.json")[:1]
    assert lease.record.owner in current.decode()
    assert 21 == len(bed.versions("leases/x.json")), "each renewal landed once"
