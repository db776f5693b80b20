"""Promises of the local store beyond the contract: durability, other files in its folder, and failures of disks."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.model.errors import (
    ConfigError,
    NotFoundError,
    ObjectChangedError,
    ObjectExistsError,
    ObjectNotFoundError,
    OutcomeUnknownError,
    StoreError,
    StoreUnavailableError,
)
from tasks.store.local.local_store import LocalStore
from tasks.store.retrying import RetryingStore
from tests.contract.stores import create
from tests.unit.store.test_keys import KEYS

DIGEST_OF_X = sha256(b"x").hexdigest()


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store", create=True)


@contextmanager
def lowered_limit(kind: int, soft: int) -> Iterator[None]:
    before = resource.getrlimit(kind)
    resource.setrlimit(kind, (soft, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(kind, before)


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that were fsynced, in order; the calls go through."""
    paths: list[str] = []
    real = os.fsync

    def recording(descriptor: int) -> None:
        paths.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", recording)
    return paths


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_missing_folder_is_named_and_made_only_with_create(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=f"There is no folder {tmp_path}/a/b."):
        LocalStore(tmp_path / "a/b", create=False)
    assert list(tmp_path.iterdir()) == []
    LocalStore(tmp_path / "a/b", create=True)
    LocalStore(tmp_path / "a/b", create=False)


def test_a_file_at_the_path_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for folder in (tmp_path / "file", tmp_path / "file/inside"):
        for is_made in (True, False):
            with pytest.raises(ConfigError, match=f"^{tmp_path}/file is a file, and the repository needs a folder"):
                LocalStore(folder, create=is_made)


def test_two_stores_of_one_folder_have_the_same_objects_and_versions(tmp_path: Path) -> None:
    first, second = LocalStore(tmp_path, create=True), LocalStore(tmp_path, create=False)
    version = first.compare_and_swap("leases/a", [b"1"], expected=None).version
    assert version == second.head("leases/a").version
    second.compare_and_swap("leases/a", [b"2"], expected=version)
    assert first.get("leases/a")[0] == b"2"


def test_an_object_is_a_file_whose_path_is_its_key(store: LocalStore, tmp_path: Path) -> None:
    create(store, "data/set/run/1.log.zst", b"bytes")
    assert (tmp_path / "store/data/set/run/1.log.zst").read_bytes() == b"bytes"


def test_the_object_is_synced_first_and_then_every_folder_above_it(
    store: LocalStore, tmp_path: Path, synced: list[str]
) -> None:
    create(store, "a/b/c", b"x")
    root = tmp_path / "store"
    assert synced[0].startswith(f"{root}/a/b/.tmp-")
    assert [str(root / "a/b"), str(root / "a"), str(root)] == synced[1:]


@pytest.mark.parametrize("operation", ["put", "swap"])
def test_overwrites_and_swaps_are_synced_like_creations(
    store: LocalStore, tmp_path: Path, synced: list[str], operation: str
) -> None:
    for body in (b"1", b"2"):
        synced.clear()
        if operation == "put":
            store.put("a/b", [body])
        else:
            expected = store.head("a/b").version if body == b"2" else None
            store.compare_and_swap("a/b", [body], expected=expected)
        assert synced[0].startswith(f"{tmp_path}/store/a/.tmp-")
        assert str(tmp_path / "store/a") in synced[1:]


def test_the_loser_of_a_creation_syncs_the_folders_of_the_object_it_found(tmp_path: Path, synced: list[str]) -> None:
    create(LocalStore(tmp_path, create=True), "a/b")
    loser = LocalStore(tmp_path, create=False)
    synced.clear()
    with pytest.raises(ObjectExistsError):
        create(loser, "a/b", b"other")
    assert [str(tmp_path / "a"), str(tmp_path)] == synced[1:]


def test_temporary_files_locks_and_files_of_others_are_not_listed(store: LocalStore, tmp_path: Path) -> None:
    root = tmp_path / "store"
    store.put("heads/a", [b"x"])
    (root / ".DS_Store").write_bytes(b"")
    (root / "heads/.tmp-0123").write_bytes(b"half")
    (root / "lost+found").mkdir()
    (root / "lost+found/a").write_bytes(b"")
    (root / "heads/broken").symlink_to("nowhere")
    os.mkfifo(root / "heads/pipe")
    assert [info.key for info in store.list("")] == ["heads/a"]
    assert any(name.startswith(".locks/") for name in files(root))


def test_no_temporary_file_is_left_after_success_and_after_a_refusal(store: LocalStore, tmp_path: Path) -> None:
    create(store, "a/b")
    with pytest.raises(ObjectExistsError):
        create(store, "a/b", b"other")
    store.put("a/b", [b"2"])
    assert files(tmp_path / "store/a") == ["b"]


def test_a_swap_that_expects_no_object_fails_if_another_writer_creates_it_meanwhile(store: LocalStore) -> None:
    class BodyWithConcurrentCreate(list[bytes | memoryview]):
        def __iter__(self) -> Iterator[bytes | memoryview]:
            create(store, "a", b"theirs")
            return super().__iter__()

    with pytest.raises(ObjectChangedError):
        store.compare_and_swap("a", BodyWithConcurrentCreate([b"mine"]), expected=None)
    assert store.get("a")[0] == b"theirs"


def test_an_unmounted_folder_is_unavailable_and_not_an_empty_store(store: LocalStore, tmp_path: Path) -> None:
    create(store, "a/b")
    (tmp_path / "store").rename(tmp_path / "elsewhere")
    for use in (
        lambda: store.get("a/b"),
        lambda: store.head("c"),
        lambda: list(store.list("")),
        lambda: list(store.list("a/")),
        lambda: create(store, "a/c"),
        lambda: store.put("a/b", [b"x"]),
        lambda: store.compare_and_swap("c", [b"x"], expected=None),
        lambda: store.delete(["a/b"]),
    ):
        with pytest.raises(StoreUnavailableError, match="mounted"):
            use()
    assert not (tmp_path / "store").exists()
    (tmp_path / "elsewhere").rename(tmp_path / "store")
    assert store.get("a/b")[0] == b"x"


def test_another_file_system_at_the_path_of_the_folder_is_unavailable_and_not_an_empty_store(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_device", -1)
    with pytest.raises(StoreUnavailableError, match="mounted"):
        store.head("a/b")
    with pytest.raises(StoreUnavailableError, match="mounted"):
        create(store, "a/b")


def test_a_removed_folder_is_made_again_and_synced(store: LocalStore, tmp_path: Path, synced: list[str]) -> None:
    create(store, "a/b/c")
    store.delete(["a/b/c"])
    (tmp_path / "store/a/b").rmdir()
    (tmp_path / "store/a").rmdir()
    synced.clear()
    create(store, "a/b/c")
    assert str(tmp_path / "store") in synced


def test_a_key_below_an_object_or_above_objects_is_refused(store: LocalStore) -> None:
    create(store, "a/b")
    for key in ("a", "a/b/c"):
        with pytest.raises(StoreError) as created:
            create(store, key)
        with pytest.raises(StoreError) as put:
            store.put(key, [b"x"])
        with pytest.raises(StoreError) as swapped:
            store.compare_and_swap(key, [b"x"], expected=None)
        assert {StoreError} == {type(refused.value) for refused in (created, put, swapped)}
    assert [info.key for info in store.list("")] == ["a/b"]


def test_any_other_system_error_is_a_store_error(store: LocalStore) -> None:
    with pytest.raises(StoreError, match="File name too long") as refused:
        create(store, "k" * 300)
    assert type(refused.value) is StoreError


def test_a_write_that_the_file_system_cuts_leaves_no_file(store: LocalStore, tmp_path: Path) -> None:
    with lowered_limit(resource.RLIMIT_FSIZE, 1 << 20), pytest.raises(StoreError, match="File too large"):
        store.put("a/b", [bytes(1 << 19)] * 3)
    assert files(tmp_path / "store/a") == []
    with pytest.raises(ObjectNotFoundError):
        store.head("a/b")


def test_running_out_of_file_descriptors_is_retryable(store: LocalStore) -> None:
    create(store, "a/b")
    with lowered_limit(resource.RLIMIT_NOFILE, 3), pytest.raises(StoreUnavailableError):
        store.get("a/b")


@pytest.mark.parametrize("operation", ["create", "put", "swap"])
def test_the_outcome_is_unknown_when_a_folder_cannot_be_synced_and_a_retry_settles_it(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    store.put("a/old", [b"x"])
    real, failures = os.fsync, [errno.ESTALE]

    def failing_disk(descriptor: int) -> None:
        if failures and os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(failures.pop(), "disk")
        real(descriptor)

    def write(through: LocalStore | RetryingStore) -> None:
        if operation == "create":
            through.put_if_absent("a/new", [b"x"], sha256=DIGEST_OF_X)
        elif operation == "put":
            through.put("a/new", [b"x"])
        else:
            through.compare_and_swap("a/new", [b"x"], expected=None)

    monkeypatch.setattr(os, "fsync", failing_disk)
    with pytest.raises(OutcomeUnknownError):
        write(store)
    store.delete(["a/new"])
    failures.append(errno.ESTALE)
    write(RetryingStore(store, sleep=lambda seconds: None))
    assert failures == []
    assert store.get("a/new")[0] == b"x"


@pytest.mark.parametrize("operation", ["create", "put", "swap", "delete"])
def test_an_io_error_of_a_folder_is_final_because_a_second_sync_would_prove_nothing(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    store.put("a/old", [b"x"])
    real, failures = os.fsync, [errno.EIO]

    def failing_disk(descriptor: int) -> None:
        if failures and os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(failures.pop(), "disk")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", failing_disk)
    through = RetryingStore(store, sleep=lambda seconds: None)
    writes: dict[str, Callable[[], object]] = {
        "create": lambda: through.put_if_absent("a/new", [b"x"], sha256=DIGEST_OF_X),
        "put": lambda: through.put("a/new", [b"x"]),
        "swap": lambda: through.compare_and_swap("a/new", [b"x"], expected=None),
        "delete": lambda: through.delete(["a/old"]),
    }
    with pytest.raises(StoreError, match=r"/a cannot be made durable: Input/output error. Check its disk") as refused:
        writes[operation]()
    assert type(refused.value) is StoreError
    assert [] == failures


@settings(deadline=None, derandomize=True, max_examples=25)
@given(st.sets(KEYS, max_size=12), st.data())
def test_a_listing_equals_the_sorted_keys_with_the_prefix(
    tmp_path_factory: pytest.TempPathFactory, keys: set[str], data: st.DataObject
) -> None:
    keys = {key for key in keys if not any(other.startswith(f"{key}/") for other in keys)}
    store = LocalStore(tmp_path_factory.mktemp("store"), create=True)
    for key in keys:
        create(store, key)
    some = data.draw(st.sampled_from(sorted(keys))) if keys else ""
    prefix = some[: data.draw(st.integers(0, len(some)))]
    assert sorted(key for key in keys if key.startswith(prefix)) == [info.key for info in store.list(prefix)]
