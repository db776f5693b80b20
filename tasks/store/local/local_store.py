"""A folder as an object store. Each object is one file, and its path in the folder is its key. Contains the locks of
overwrites and deletes.

Atomicity and durability (`durable_files`): an object is written to a temporary file in the same folder and fsynced.
Then it is hard-linked (put-if-absent: fails if the name exists) or renamed (overwrite), and the folder and its parents
are fsynced. The writer that finds an existing object also fsyncs, because its caller relies on that object. An I/O
error of this fsync is final: after it the kernel drops the data that it could not write, so a second fsync can succeed
although the data is lost.

    <root>/<key>              objects
    <root>/…/.tmp-<random>    unfinished writes, also of killed processes
    <root>/.locks/<00..ff>    flock files of overwrites and deletes, by the key's hash; never deleted, because two
                              writers could then hold locks on different files of one name

`version` consists of the modification time in nanoseconds and the size. Every write sets the time. An overwrite holds
the lock and sets a later time than that of the replaced file, so two writes of a key never have the same version. It is
not the inode, because ext4 uses the inodes of deleted files again and FUSE can change the inode of a file at any time.
It is not a digest, because `head` and `list` would have to read every byte. If a file system rounds times, the probe
finds that a swap with an old version succeeds, and no repository is created.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256 as sha256_of
from pathlib import Path
from typing import BinaryIO

from tasks.model.errors import (
    AccessError,
    ConfigError,
    DamagedError,
    NotFoundError,
    ObjectChangedError,
    ObjectExistsError,
    ObjectNotFoundError,
    StoreError,
    StoreUnavailableError,
    UndeletedError,
    UnsupportedError,
)
from tasks.store.keys import check_folder, check_key, check_prefix, is_component
from tasks.store.local.durable_files import (
    NO_HARD_LINKS,
    NO_RENAME_NOREPLACE,
    Temporary,
    link_new,
    make_folder,
    rename_new,
    sync_folder,
    temporary_file,
)
from tasks.store.local.os_errors import translated
from tasks.store.local.unfinished import find_unfinished, is_unfinished, remove_unfinished
from tasks.store.protocol import Body, ObjectInfo, OnNote, Unfinished

_LOCKS = ".locks"


class LocalStore:
    """The objects under one folder. Several threads, processes and machines can share the folder if its file system has
    flock, and atomic links or renames that do not replace files (see `probe`). `on_note` is called once if the file
    system cannot fsync folders.

    Empty folders stay after a deletion. A write raises `StoreError` if its key is a folder of other keys.
    """

    def __init__(self, root: Path, *, create: bool, on_note: OnNote | None = None) -> None:
        """Open the folder. With `create`, a missing folder and its parents are made. Raises `NotFoundError` if the
        folder is missing, `ConfigError` if the path is that of a file or below one, and `AccessError` or `StoreError`
        if it cannot be made or read."""
        self._root = root.absolute()
        self._synced: set[Path] = set()
        self._on_note = on_note
        self._has_links = True
        with translated(self.location):
            _require_no_file(self._root)
            if create and not self._root.exists():
                make_folder(self._root)
            if not self._root.is_dir():
                raise NotFoundError(
                    f"There is no folder {self._root}. Correct the path, mount its disk, or make a first backup."
                )
            self._device = self._root.stat().st_dev

    @property
    def location(self) -> str:
        return self._root.as_uri()

    @property
    def is_single_writer(self) -> bool:
        return False

    def write_alone(self) -> None:
        """See the protocol. Does nothing: this store always tests conditions itself."""

    def put_if_absent(self, key: str, body: Body, *, sha256: str) -> ObjectInfo:
        """See the protocol. `sha256` is not verified, because a file system computes no checksum."""
        with self._translated(key):
            path = self._writable_path(key)
            with temporary_file(path.parent, body) as temporary:
                is_new = self._link(temporary, path, key)
        self._make_durable(path.parent, key)
        if not is_new:
            raise ObjectExistsError(f"{key} already exists in {self.location}", key=key)
        return _info(key, temporary.status)

    def put(self, key: str, body: Body) -> ObjectInfo:
        with self._translated(key), self._locked(key):
            return self._overwrite(key, body, self._current(key))

    def compare_and_swap(self, key: str, body: Body, *, expected: str | None) -> ObjectInfo:
        with self._translated(key), self._locked(key):
            current = self._current(key)
            if (current.version if current else None) != expected:
                raise ObjectChangedError(f"{key} is not at the expected version in {self.location}", key=key)
            if current:
                return self._overwrite(key, body, current)
            try:
                return self.put_if_absent(key, body, sha256="")
            except ObjectExistsError:  # because `put_if_absent` does not take the lock
                raise ObjectChangedError(
                    f"{key} was created by another writer at the same time in {self.location}", key=key
                ) from None

    def get(self, key: str) -> tuple[bytes, ObjectInfo]:
        with self._translated(key), self._opened(key) as (file, status):
            return file.read(), _info(key, status)

    def get_range(self, key: str, start: int, length: int) -> bytes:
        with self._translated(key), self._opened(key) as (file, status):
            if start + length <= status.st_size:
                file.seek(start)
                data = file.read(length)
                if len(data) == length:
                    return data
        raise DamagedError(f"{key} is incomplete: it ends before byte {start + length}", key=key)

    def head(self, key: str) -> ObjectInfo:
        check_key(key)
        with self._translated(key), self._opened(key) as (_, status):
            return _info(key, status)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        folder, _, start = check_prefix(prefix).rpartition("/")
        with self._translated(prefix):
            yield from self._walk(f"{folder}/" if folder else "", start)

    def list_folders(self, folder: str) -> tuple[str, ...]:
        check_folder(folder)
        with self._translated(folder):
            try:
                with os.scandir(self._root / folder) as found:
                    return tuple(sorted(one.name for one in found if is_component(one.name) and one.is_dir()))
            except (FileNotFoundError, NotADirectoryError):
                self._check_mounted()
                return ()

    def check_lock(self) -> None:
        """Does nothing: the settings of a folder cannot ask for a lock."""

    def delete(self, keys: Iterable[str]) -> int:
        """See the protocol. The deletion is durable on return; folders stay. Nothing is kept as an older version."""
        folders: set[Path] = set()
        denied: dict[str, str] = {}
        for key in keys:
            path = self._root / check_key(key)
            try:
                with self._translated(key), self._locked(key):
                    try:
                        path.unlink()
                        folders.add(path.parent)
                    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                        self._check_mounted()
            except AccessError as error:
                denied[key] = str(error)
        with self._translated("", may_have_landed=True):
            for folder in sorted(folders):
                self._sync(folder)
        if denied:
            raise UndeletedError(denied=denied, locked={}, hidden=0)
        return 0

    def unfinished(self) -> Iterator[Unfinished]:
        with self._translated(""):
            self._check_mounted()
            yield from find_unfinished(self._root)

    def delete_unfinished(self, names: Iterable[str]) -> None:
        for name in names:
            if not is_unfinished(name):
                raise ConfigError(f"{name!r} is not the rest of a write in {self.location}.")
            with self._translated(name):
                self._check_mounted()
                remove_unfinished(self._root, name)

    def close(self) -> None:
        """Does nothing: the store keeps nothing open."""

    @contextmanager
    def _translated(self, key: str, *, may_have_landed: bool = False) -> Iterator[None]:
        with translated(f"{key or 'the folder'} in {self.location}", key=key, may_have_landed=may_have_landed):
            yield

    def _check_mounted(self) -> None:
        """Raises `StoreUnavailableError` unless the folder exists on the same file system as when the store was opened.
        Without this check, the empty folder of an unmounted disk would be read as an empty repository, and written
        to."""
        try:
            if self._root.stat().st_dev == self._device:
                return
        except FileNotFoundError:
            pass
        raise StoreUnavailableError(f"The folder {self._root} does not exist any more: check that its disk is mounted.")

    def _writable_path(self, key: str) -> Path:
        path = self._root / check_key(key)
        self._check_mounted()
        if not path.parent.is_dir():
            self._synced.discard(path.parent)
            path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _make_durable(self, folder: Path, key: str) -> None:
        """Sync the folder, and once for each store its parents, because another process can have made them and not
        synced them yet."""
        with self._translated(key, may_have_landed=True):
            self._sync(folder)
            if folder not in self._synced:
                for parent in folder.parents[: len(folder.relative_to(self._root).parts)]:
                    self._sync(parent)
                self._synced.add(folder)

    def _sync(self, folder: Path) -> None:
        try:
            is_durable = sync_folder(folder)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            raise StoreError(f"{folder} cannot be made durable: {os.strerror(errno.EIO)}. Check its disk") from error
        if not is_durable and self._on_note is not None:
            note, self._on_note = self._on_note, None
            note(
                f"The file system of {self._root} cannot sync folders, so a power loss can undo the last writes there."
            )

    def _link(self, temporary: Temporary, path: Path, key: str) -> bool:
        with self._translated(key, may_have_landed=True):
            is_new = self._named(temporary.path, path)
        if not is_new and path.is_dir():
            raise StoreError(f"{key} in {self.location} is a folder", key=key)
        return is_new

    def _named(self, temporary: Path, path: Path) -> bool:
        """Give the file its final name, by a link or a rename, unless that name exists. Returns whether this call
        created the name. Raises `UnsupportedError` if the file system supports neither."""
        if self._has_links:
            try:
                return link_new(temporary, path)
            except OSError as error:
                if error.errno not in NO_HARD_LINKS:
                    raise
            self._has_links = False
        try:
            return rename_new(temporary, path)
        except OSError as error:
            if error.errno not in NO_RENAME_NOREPLACE:
                raise
            raise UnsupportedError(
                f"The file system of {self._root} can neither link files nor rename them without replacing others, so "
                "two writers could overwrite each other there. Use a folder on another file system, or a bucket."
            ) from error

    def _overwrite(self, key: str, body: Body, current: ObjectInfo | None) -> ObjectInfo:
        path = self._writable_path(key)
        with temporary_file(path.parent, body, after_ns=_modified_ns(current)) as temporary:
            with self._translated(key, may_have_landed=True):
                os.replace(temporary.path, path)
            self._make_durable(path.parent, key)
        return _info(key, temporary.status)

    def _current(self, key: str) -> ObjectInfo | None:
        try:
            return self.head(key)
        except ObjectNotFoundError:
            return None

    @contextmanager
    def _locked(self, key: str) -> Iterator[None]:
        """Wait until no other overwrite or deletion of this key is running, and exclude them during the context. Each
        call opens its own descriptor, so that other threads of this process are excluded too."""
        self._check_mounted()
        folder = self._root / _LOCKS
        folder.mkdir(exist_ok=True)
        name = sha256_of(key.encode()).hexdigest()[:2]
        descriptor = os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def _opened(self, key: str) -> Iterator[tuple[BinaryIO, os.stat_result]]:
        """The object's file and the file's status. Both come from one descriptor, so that they belong together also if
        the object is replaced meanwhile. Opening the file also makes a network file system refresh its attributes.

        Raises `ObjectNotFoundError` if there is no object with this key, and `StoreUnavailableError` if the folder of
        the store is gone.
        """
        path = self._root / check_key(key)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            self._check_mounted()
            raise ObjectNotFoundError(f"{key} is not in {self.location}", key=key) from None
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            os.close(descriptor)
            raise ObjectNotFoundError(f"{key} in {self.location} is a folder", key=key)
        with open(descriptor, "rb") as file:
            yield file, status

    def _walk(self, base: str, start: str) -> Iterator[ObjectInfo]:
        """The objects under the folder `base` whose next name begins with `start`, in the order of their whole keys. So
        a folder is sorted by its name with a slash: `a-b` < `a.b` < `a/b`. At one time, the names in one folder of each
        level are in memory."""
        try:
            with os.scandir(self._root / base) as found:
                entries = [entry for entry in found if entry.name.startswith(start) and is_component(entry.name)]
        except (FileNotFoundError, NotADirectoryError):
            self._check_mounted()
            return
        for name, entry in sorted((f"{entry.name}/" if entry.is_dir() else entry.name, entry) for entry in entries):
            if name.endswith("/"):
                yield from self._walk(base + name, "")
                continue
            try:
                status = entry.stat()
            except FileNotFoundError:  # deleted after the scan
                continue
            if stat.S_ISREG(status.st_mode):
                yield _info(base + name, status)


def _modified_ns(info: ObjectInfo | None) -> int:
    return int(info.version.partition("-")[0], 16) if info else 0


def _info(key: str, status: os.stat_result) -> ObjectInfo:
    return ObjectInfo(
        key=key,
        size_bytes=status.st_size,
        modified_ms=status.st_mtime_ns // 1_000_000,
        version=f"{status.st_mtime_ns:x}-{status.st_size:x}",
    )


def _require_no_file(root: Path) -> None:
    """Raises `ConfigError` if the folder, or one above it, is a file."""
    file = next((path for path in (root, *root.parents) if path.is_file()), None)
    if file is not None:
        raise ConfigError(f"{file} is a file, and the repository needs a folder: correct the path.")
