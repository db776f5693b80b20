"""The promises of `tasks/store/protocol.py`, sentence by sentence, for every store."""

from __future__ import annotations

import time
from hashlib import sha256

import pytest

from tasks.model.errors import (
    ConfigError,
    DamagedError,
    ObjectChangedError,
    ObjectExistsError,
    ObjectNotFoundError,
    StoreError,
)
from tasks.store.protocol import ObjectStore
from tests.contract.stores import create

BAD_KEYS = [
    "",
    "/a",
    "a/",
    "a//b",
    "..",
    "../a",
    "a/../b",
    "a/./b",
    ".hidden",
    "a/.tmp-1",
    "a b",
    "a\\b",
    "ä",
    "a\n",
    "a\0",
]


def test_a_created_object_reads_back_whole(store: ObjectStore) -> None:
    created = create(store, "data/orders/1.log", b"batch")
    data, info = store.get("data/orders/1.log")
    assert data == b"batch"
    answers = [created, info, store.head("data/orders/1.log"), next(store.list("data/"))]
    assert {("data/orders/1.log", 5, created.version)} == {(one.key, one.size_bytes, one.version) for one in answers}
    assert max(one.modified_ms for one in answers) - min(one.modified_ms for one in answers) <= 1000


def test_head_returns_the_checksum_of_the_write(store: ObjectStore) -> None:
    created = create(store, "a", b"batch")
    assert created.checksum == store.head("a").checksum
    for other in (store.get("a")[1], next(store.list(""))):
        assert other.checksum in (created.checksum, None)


def test_the_metadata_of_a_write_has_its_key_size_and_time(store: ObjectStore) -> None:
    before_ms = time.time_ns() // 1_000_000
    info = create(store, "a/b", b"12345")
    after_ms = time.time_ns() // 1_000_000
    assert (info.key, info.size_bytes) == ("a/b", 5)
    assert before_ms // 1000 * 1000 <= info.modified_ms <= after_ms


def test_a_body_of_many_buffers_and_views_is_stored_in_order(store: ObjectStore) -> None:
    whole = bytes(range(256)) * 40
    parts: list[bytes | memoryview] = [b"", *(memoryview(whole)[at : at + 3] for at in range(0, len(whole), 3)), b""]
    store.put_if_absent("many", parts, sha256=sha256(whole).hexdigest())
    store.put("put", parts)
    store.compare_and_swap("swapped", parts, expected=None)
    assert [whole] * 3 == [store.get(key)[0] for key in ("many", "put", "swapped")]


@pytest.mark.parametrize("body", [[], [b""], [b"", memoryview(b"")]])
def test_an_empty_body_is_an_empty_object(store: ObjectStore, body: list[bytes | memoryview]) -> None:
    store.put_if_absent("empty", body, sha256=sha256(b"").hexdigest())
    data, info = store.get("empty")
    assert (data, info.size_bytes) == (b"", 0)
    assert store.get_range("empty", 0, 0) == b""


def test_a_large_object_reads_back_equal(store: ObjectStore) -> None:
    block = bytes(range(256)) * 4096
    parts = [bytes([n]) + block for n in range(8)]
    digest = sha256(b"".join(parts)).hexdigest()
    assert store.put_if_absent("large", parts, sha256=digest).size_bytes == 8 * (len(block) + 1)
    assert digest == sha256(store.get("large")[0]).hexdigest()
    assert store.get_range("large", 3 * (len(block) + 1), 2) == b"\x03\x00"


def test_a_checksum_is_that_of_the_bytes_if_there_is_one(store: ObjectStore) -> None:
    checksum = create(store, "a", b"bytes").checksum
    if checksum and checksum.kind == "sha256":
        assert sha256(b"bytes").hexdigest() == checksum.value


def test_a_body_that_differs_from_its_digest_is_refused_or_stored_as_sent(store: ObjectStore) -> None:
    try:
        store.put_if_absent("a", [b"sent"], sha256=sha256(b"meant").hexdigest())
    except StoreError:
        assert list(store.list("")) == []
    else:
        assert store.get("a")[0] == b"sent"


def test_creating_an_existing_key_is_refused_and_changes_nothing(store: ObjectStore) -> None:
    first = create(store, "a/b", b"first")
    with pytest.raises(ObjectExistsError) as refused:
        create(store, "a/b", b"second")
    assert refused.value.key == "a/b"
    data, info = store.get("a/b")
    assert (b"first", first.version) == (data, info.version)


def test_put_creates_and_overwrites_with_another_version(store: ObjectStore) -> None:
    versions = [store.put("heads/a", [str(n).encode()]).version for n in range(30)]
    assert len(set(versions)) == 30
    data, info = store.get("heads/a")
    assert (b"29", versions[-1]) == (data, info.version)


def test_a_swap_at_the_current_version_succeeds_again_and_again(store: ObjectStore) -> None:
    version = store.compare_and_swap("leases/a", [b"0"], expected=None).version
    for n in range(1, 30):
        version = store.compare_and_swap("leases/a", [str(n).encode()], expected=version).version
        data, info = store.get("leases/a")
        assert (str(n).encode(), version) == (data, info.version)


def test_a_swap_can_follow_any_kind_of_write(store: ObjectStore) -> None:
    created = create(store, "a", b"1")
    put = store.put("a", [b"2"])
    with pytest.raises(ObjectChangedError):
        store.compare_and_swap("a", [b"3"], expected=created.version)
    store.compare_and_swap("a", [b"4"], expected=put.version)
    assert store.get("a")[0] == b"4"


def test_a_swap_at_a_stale_version_is_refused_and_changes_nothing(store: ObjectStore) -> None:
    first = store.compare_and_swap("a", [b"1"], expected=None).version
    store.compare_and_swap("a", [b"2"], expected=first)
    for stale in (first, None):
        with pytest.raises(ObjectChangedError) as refused:
            store.compare_and_swap("a", [b"3"], expected=stale)
        assert refused.value.key == "a"
    assert store.get("a")[0] == b"2"


def test_a_swap_of_a_deleted_or_never_created_object_is_refused(store: ObjectStore) -> None:
    version = store.compare_and_swap("a", [b"1"], expected=None).version
    store.delete(["a"])
    for key in ("a", "never/created"):
        with pytest.raises(ObjectChangedError):
            store.compare_and_swap(key, [b"2"], expected=version)
        with pytest.raises(ObjectNotFoundError):
            store.head(key)
    store.compare_and_swap("a", [b"3"], expected=None)
    assert store.get("a")[0] == b"3"


def test_reading_a_missing_object_names_its_key(store: ObjectStore) -> None:
    create(store, "a/b")
    for key in ("c", "a/c", "a", "a/b/c"):
        for read in (store.get, store.head, lambda key: store.get_range(key, 0, 1)):
            with pytest.raises(ObjectNotFoundError) as missing:
                read(key)
            assert missing.value.key == key


@pytest.mark.parametrize(("start", "length"), [(0, 10), (0, 1), (3, 4), (9, 1), (0, 0), (10, 0)])
def test_a_range_is_exactly_its_bytes(store: ObjectStore, start: int, length: int) -> None:
    create(store, "a", b"0123456789")
    assert b"0123456789"[start : start + length] == store.get_range("a", start, length)


@pytest.mark.parametrize(("start", "length"), [(0, 11), (9, 2), (10, 1), (11, 0), (11, 1), (0, 1 << 50)])
def test_a_range_beyond_the_end_is_damage_and_never_a_shorter_result(
    store: ObjectStore, start: int, length: int
) -> None:
    create(store, "a", b"0123456789")
    with pytest.raises(DamagedError) as damaged:
        store.get_range("a", start, length)
    assert damaged.value.key == "a"


def test_a_listing_is_in_the_order_of_whole_keys_at_any_depth(store: ObjectStore) -> None:
    keys = [
        "a-b",
        "a.b",
        "a/b",
        "a/b-c",
        "a/b.c/d",
        "a/c/d",
        "a/c/d.e",
        "a/c-d",
        "a0",
        "aB/x",
        "a_b",
        "ab",
        "A/z",
        "b/0/1/2",
        "z",
    ]
    for key in reversed(keys):
        create(store, key)
    assert sorted(keys) == [info.key for info in store.list("")]


@pytest.mark.parametrize(
    "prefix", ["", "a", "a/", "a/b", "a/b/c1", "a/bc/", "a-", "b", "a/b/c1/", "nothing/here", "a/b/c10x"]
)
def test_a_prefix_can_end_within_a_name(store: ObjectStore, prefix: str) -> None:
    keys = ["a-b", "a/b/c1", "a/b/c10", "a/b/c2", "a/bc/d", "ab", "b"]
    for key in keys:
        create(store, key)
    assert sorted(key for key in keys if key.startswith(prefix)) == [info.key for info in store.list(prefix)]


def test_the_folders_in_a_folder_are_named_once_and_in_order(store: ObjectStore) -> None:
    for key in ["a-b", "a/b/c1", "a/b/c2", "a/bc/d/e", "a/x", "a.d/e", "b/y"]:
        create(store, key)
    assert ("a", "a.d", "b") == store.list_folders("")
    assert ("b", "bc") == store.list_folders("a/")
    assert () == store.list_folders("a/b/") == store.list_folders("nothing/")
    with pytest.raises(ConfigError):
        store.list_folders("a")


def test_more_objects_than_one_request_can_name_are_all_listed_once_and_all_deleted(store: ObjectStore) -> None:
    """More folders too."""
    folders = [f"{n:05d}" for n in range(1005)]
    keys = [f"many/{folder}/object" for folder in folders]
    for key in keys:
        store.put(key, [b""])
    assert keys == [info.key for info in store.list("many/")]
    assert tuple(folders) == store.list_folders("many/")
    store.delete(keys)
    assert [] == list(store.list("many/"))


def test_deleting_may_be_repeated_and_a_missing_key_is_no_error(store: ObjectStore) -> None:
    for key in ("a/b", "a/c", "d"):
        create(store, key)
    for _ in range(2):
        store.delete(iter(["a/b", "never", "d", "d/never", "a"]))
    store.delete([])
    assert [info.key for info in store.list("")] == ["a/c"]
    create(store, "a/b", b"again")
    assert store.get("a/b")[0] == b"again"


@pytest.mark.parametrize("key", BAD_KEYS)
def test_a_key_with_other_characters_or_a_leading_dot_is_refused(store: ObjectStore, key: str) -> None:
    for use in (
        lambda: create(store, key),
        lambda: store.put(key, [b"x"]),
        lambda: store.compare_and_swap(key, [b"x"], expected=None),
        lambda: store.get(key),
        lambda: store.get_range(key, 0, 1),
        lambda: store.head(key),
        lambda: store.delete([key]),
    ):
        with pytest.raises(ConfigError):
            use()
    assert list(store.list("")) == []


@pytest.mark.parametrize("prefix", ["/", "../", "a/../", "a//", ".", ".locks", "a/.tmp", "*"])
def test_a_prefix_that_no_key_can_have_is_refused(store: ObjectStore, prefix: str) -> None:
    with pytest.raises(ConfigError):
        list(store.list(prefix))


def test_the_location_is_a_url(store: ObjectStore) -> None:
    assert "://" in store.location


def test_writes_that_ended_leave_nothing_unfinished(store: ObjectStore) -> None:
    create(store, "data/orders/1.log")
    store.put("heads/a", [b"1"])
    store.put("heads/a", [b"2"])
    store.delete(["data/orders/1.log"])

    assert [] == list(store.unfinished())
    store.delete_unfinished([])


@pytest.mark.parametrize("name", ["heads/a", "../.tmp-1", "a/../.tmp-1", "/tmp/.tmp-1", ".locks/.tmp-1", "", "."])
def test_only_what_is_unfinished_can_be_deleted_as_such(store: ObjectStore, name: str) -> None:
    store.put("heads/a", [b"1"])

    with pytest.raises(ConfigError):
        store.delete_unfinished([name])

    assert b"1" == store.get("heads/a")[0]
