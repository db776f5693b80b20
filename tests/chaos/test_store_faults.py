"""Each store behind a proxy that cuts, stalls, swallows and answers for it: whatever happens to a request, it happens
once.

The versions of MinIO's bucket show every write that landed. `tests/support/store_beds.py` says what the other servers
can show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

import pytest

from tasks.model.errors import OutcomeUnknownError, StoreError, StoreUnavailableError
from tasks.repository.entries import NoteEntry
from tasks.repository.leases import acquire
from tasks.store.protocol import Body, ObjectStore
from tests.support.made_backup import SET, append_note, make_repository
from tests.support.store_beds import BEDS, FAULTS, NOT_CARRIED_OUT, OLD, OPERATIONS, WRITES, Bed
from tests.support.tcp_proxy import TcpProxy

BODY: Body = [bytes([number]) * 50_000 for number in range(5)]
WHOLE = b"".join(BODY)
DIGEST = sha256(WHOLE).hexdigest()


pytestmark = pytest.mark.parametrize(
    "shared",
    [pytest.param(name, marks=getattr(pytest.mark, bed.server)) for name, bed in BEDS.items()],
    indirect=True,
    scope="module",
)
every_operation = pytest.mark.parametrize("operation", OPERATIONS)
every_fault = pytest.mark.parametrize("fault", FAULTS)


@pytest.fixture(scope="module")
def shared(request: pytest.FixtureRequest) -> Iterator[Bed]:
    kind = BEDS[request.param]
    with kind.make(request.getfixturevalue(kind.server)) as made:
        yield made


@pytest.fixture
def bed(shared: Bed) -> Iterator[Bed]:
    """With the object `old` in it."""
    shared.begin()
    shared.proxy.struck.clear()
    yield shared
    shared.proxy.calm()


def _create(bed: Bed, store: ObjectStore) -> None:
    info = store.put_if_absent("new", BODY, sha256=DIGEST)
    assert bed.checksum(WHOLE) == info.checksum
    assert (bed.direct.head("new").version, len(WHOLE)) == (info.version, info.size_bytes)
    assert [WHOLE] == bed.writes("new")


def _put(bed: Bed, store: ObjectStore) -> None:
    store.put("old", BODY)
    assert WHOLE == bed.direct.get("old")[0]


def _swap(bed: Bed, store: ObjectStore) -> None:
    info = store.compare_and_swap("old", BODY, expected=bed.direct.head("old").version)
    assert bed.direct.head("old").version == info.version
    assert [WHOLE, OLD] == bed.writes("old")


def _swap_nothing(bed: Bed, store: ObjectStore) -> None:
    store.compare_and_swap("new", BODY, expected=None)
    assert [WHOLE] == bed.writes("new")


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


CHECKS: dict[str, Callable[[Bed, ObjectStore], None]] = {
    "put_if_absent": _create,
    "put": _put,
    "compare_and_swap": _swap,
    "compare_and_swap-None": _swap_nothing,
    "delete": _delete,
    "get": _get,
    "get_range": _get_range,
    "head": _head,
    "list": _list,
}


@every_fault
@every_operation
def test_a_fault_costs_a_repetition_and_nothing_else(bed: Bed, operation: str, fault: str) -> None:
    bed.proxy.arm(bed.fault(fault), method=bed.methods[operation])

    CHECKS[operation](bed, bed.patient)

    assert [bed.fault(fault)] == bed.proxy.struck


@pytest.mark.parametrize("operation", ["put_if_absent", "compare_and_swap", "delete", "get", "list"])
def test_any_number_of_faults_in_a_row_is_survived(bed: Bed, operation: str) -> None:
    faults = [bed.fault(name) for name in ("cut-after", "slow-down", "swallow", "cut-midway", "conflict")]
    for fault in faults:
        bed.proxy.arm(fault, method=bed.methods[operation])

    CHECKS[operation](bed, bed.patient)

    assert faults == bed.proxy.struck


def test_a_listing_of_several_pages_through_faults_has_each_key_once_and_in_order(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second page is cut, and the next attempt of it is answered too late."""
    monkeypatch.setattr("tasks.store.azure.azure_store._PAGE_BLOBS", 1000)  # Azure's own limit is 5,000
    keys = [f"many/{number:04d}" for number in range(1_003)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: bed.direct.put(key, [b"x"]), keys))
    for fault in ("cut-answer", "swallow"):
        bed.proxy.arm(bed.fault(fault), method="GET", skip=1)

    assert keys == [info.key for info in bed.patient.list("many/")]

    assert ["cut-answer", "swallow"] == bed.proxy.struck


@pytest.mark.parametrize("operation", [name for name in WRITES if name != "delete"])
def test_a_bit_that_flips_on_the_way_is_noticed_by_the_store_and_the_request_sent_again(
    bed: Bed, operation: str
) -> None:
    bed.proxy.arm("flip", method=bed.methods[operation])

    CHECKS[operation](bed, bed.patient)

    assert ["flip"] == bed.proxy.struck


@every_fault
@every_operation
def test_an_error_says_whether_the_request_may_have_been_carried_out(bed: Bed, operation: str, fault: str) -> None:
    if fault == "cut-answer" and operation in bed.bodiless:
        return
    bed.proxy.arm(bed.fault(fault), method=bed.methods[operation])

    with pytest.raises(StoreError) as raised:
        CHECKS[operation](bed, bed.through)

    may_have_landed = operation in WRITES and fault not in NOT_CARRIED_OUT
    assert (OutcomeUnknownError if may_have_landed else StoreUnavailableError) is type(raised.value)
    assert "armed" not in str(raised.value)


def test_a_store_that_does_not_listen_is_unavailable_and_writes_nothing(bed: Bed) -> None:
    with TcpProxy(1) as proxy:
        store = bed.nowhere(proxy.endpoint)
    for use in (lambda: store.put("a", BODY), lambda: store.get("a")):
        with pytest.raises(StoreUnavailableError, match="cannot be reached: connection refused"):
            use()


def test_entries_of_many_writers_through_a_storm_are_each_there_once_in_one_chain(bed: Bed) -> None:
    make_repository(bed.direct)
    bed.proxy.storm([bed.fault(name) for name in FAULTS], share=0.2, seed=7)
    texts = [f"note {number}" for number in range(24)]

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda text: append_note(make_repository(bed.patient), text), texts))

    bed.proxy.calm()
    log = make_repository(bed.direct).log(SET)
    assert sorted(texts) == sorted(entry.text for entry in log.entries() if isinstance(entry, NoteEntry))
    assert len(texts) == log.state().seq
    assert [1] * len(texts) == [len(bed.writes(f"meta/{SET}/log/{seq:010d}.json")) for seq in range(1, len(texts) + 1)]


def test_of_many_that_want_a_lease_through_a_storm_one_gets_it(bed: Bed) -> None:
    bed.proxy.storm([bed.fault(name) for name in FAULTS], share=0.2, seed=11)
    lease = acquire(bed.patient, "leases/x.json")
    for _ in range(20):
        lease.renew()

    bed.proxy.calm()
    written = bed.writes("leases/x.json")
    assert lease.record.owner in written[0].decode()
    assert 21 == len(written), "each renewal landed once"
