"""File systems that lack something: hard links, folders that can be fsynced, room, or the right to write.

A library that is loaded before libc answers for the kernel, so that the program itself runs as on such a file system.
The full and the read-only file systems are real ones, which a mount namespace of its own mounts.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.store.local.local_store import LocalStore
from tests.support.made_backup import SET, back_up, make_repository
from tests.support.made_logs import plain_log

COMMAND = str(Path(sys.executable).with_name("kafka-backup"))

SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int fails(const char *call) {
    const char *number = getenv(call);
    if (number == NULL) return 0;
    errno = atoi(number);
    return 1;
}

int link(const char *from, const char *to) {
    int (*next)(const char *, const char *) = dlsym(RTLD_NEXT, "link");
    return fails("FAIL_LINK") ? -1 : next(from, to);
}

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags) {
    int (*next)(int, const char *, int, const char *, int) = dlsym(RTLD_NEXT, "linkat");
    return fails("FAIL_LINK") ? -1 : next(from_dir, from, to_dir, to, flags);
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned int flags) {
    int (*next)(int, const char *, int, const char *, unsigned int) = dlsym(RTLD_NEXT, "renameat2");
    return fails("FAIL_RENAME") ? -1 : next(from_dir, from, to_dir, to, flags);
}

int fsync(int descriptor) {
    int (*next)(int) = dlsym(RTLD_NEXT, "fsync");
    struct stat status;
    if (fstat(descriptor, &status) == 0 && S_ISDIR(status.st_mode) && fails("FAIL_FOLDER_SYNC")) return -1;
    return next(descriptor);
}
"""

CREATE = """
import sys, threading
from hashlib import sha256
from pathlib import Path
from tasks.cli.exit_codes import exit_code_of
from tasks.config.new_repository import opened_or_created
from tasks.model.errors import KafkaBackupError, ObjectExistsError
from tasks.store.local.settings import LocalSettings

notes = []
try:
    repository, _ = opened_or_created(LocalSettings(path=sys.argv[1]), lambda: 1, on_note=notes.append)
except KafkaBackupError as error:
    print(f"{exit_code_of(error)} {type(error).__name__}: {error}")
    raise SystemExit(0)
store, winners, barrier = repository.store, [], threading.Barrier(8)

def race(body):
    barrier.wait()
    for number in range(20):
        try:
            store.put_if_absent(f"race/{number}", [body], sha256=sha256(body).hexdigest())
            winners.append((number, body))
        except ObjectExistsError:
            pass

threads = [threading.Thread(target=race, args=(b"%d" % one,)) for one in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert sorted(number for number, _ in winners) == list(range(20)), winners
assert all(store.get(f"race/{number}")[0] == body for number, body in winners)
print("created", *notes)
"""


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("gcc") is None:
        pytest.skip("gcc, which builds the library that answers for the kernel, is missing")
    folder = tmp_path_factory.mktemp("shim")
    (folder / "shim.c").write_text(SHIM)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", "shim.so", "shim.c", "-ldl"], cwd=folder, check=True)
    return folder / "shim.so"


def _create(shim: Path, folder: Path, **failures: int) -> str:
    """What a process prints that creates a repository in the folder and races for its objects."""
    variables = {name: str(number) for name, number in failures.items()}
    done = subprocess.run(
        [sys.executable, "-c", CREATE, str(folder)],
        env={**os.environ, "LD_PRELOAD": str(shim), **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS], ids=errno.errorcode.get)
def test_without_hard_links_one_of_several_writers_creates_an_object_by_a_rename(
    shim: Path, tmp_path: Path, number: int
) -> None:
    assert "created" == _create(shim, tmp_path / "new", FAIL_LINK=number)
    assert [] == list(tmp_path.rglob(".tmp-*"))


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS], ids=errno.errorcode.get)
def test_without_hard_links_and_such_renames_the_folder_is_refused_and_nothing_is_left(
    shim: Path, tmp_path: Path, number: int
) -> None:
    said = _create(shim, tmp_path / "parent/new", FAIL_LINK=errno.EPERM, FAIL_RENAME=number)

    assert said.startswith(f"2 UnsupportedError: The file system of {tmp_path}/parent/new can neither link files nor")
    assert said.endswith("Use a folder on another file system, or a bucket.")
    assert [] == list(tmp_path.iterdir())


def test_a_folder_that_was_there_is_left_as_it_was(shim: Path, tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    _create(shim, tmp_path, FAIL_LINK=errno.EPERM, FAIL_RENAME=errno.EINVAL)
    assert [tmp_path / "lost+found"] == list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EOPNOTSUPP], ids=errno.errorcode.get)
def test_folders_that_cannot_be_synced_are_one_note(shim: Path, tmp_path: Path, number: int) -> None:
    said = _create(shim, tmp_path / "new", FAIL_FOLDER_SYNC=number)
    note = f"The file system of {tmp_path}/new cannot sync folders, so a power loss can undo the last writes there."
    assert f"created {note}" == said


def test_a_folder_whose_sync_fails_is_an_error_and_not_repeated(shim: Path, tmp_path: Path) -> None:
    said = _create(shim, tmp_path / "new", FAIL_FOLDER_SYNC=errno.EIO)
    assert said.startswith("1 ")
    assert "Input/output error" in said
    assert not (tmp_path / "new/repository.json").exists()


# ── full and read-only ──────────────────────────────────────────────────────────────────────────────────────────────


def _mounted(folder: Path, script: str) -> str:
    """The output of a shell script in a mount namespace of its own, with its exit codes."""
    if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this user cannot mount file systems in a namespace")
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script], cwd=folder, capture_output=True, text=True, check=False, timeout=100
    )
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def repository_folder(tmp_path: Path) -> Path:
    """A repository with a point, in `store` beside a file that names it."""
    back_up(make_repository(LocalStore(tmp_path / "store", create=True)), [plain_log("orders", batches=3)])
    return tmp_path / "store"


READS = (
    ("list", ""),
    ("describe", f"--backup-id {SET}"),
    ("validate", f"--backup-id {SET}"),
)


@pytest.mark.parametrize(("command", "options"), READS)
def test_a_repository_without_any_room_is_read(repository_folder: Path, command: str, options: str) -> None:
    said = _mounted(
        repository_folder.parent,
        "mkdir full && mount -t tmpfs -o size=400k tmpfs full && cp -r store/. full/ && "
        "(cat /dev/zero > full/ballast 2>/dev/null; true) && "
        f"{COMMAND} {command} --storage file://$PWD/full {options}; echo code $?",
    )
    assert "code 0" in said, said
    assert ("so no pin protected the point" in said) == (command == "validate")


@pytest.mark.parametrize(("command", "options"), READS)
def test_a_repository_on_a_read_only_mount_is_read(repository_folder: Path, command: str, options: str) -> None:
    said = _mounted(
        repository_folder.parent,
        f"mount --bind store store && mount -o remount,ro,bind store && "
        f"{COMMAND} {command} --storage file://$PWD/store {options}; echo code $?",
    )
    assert "code 0" in said, said
    assert ("so no pin protected the point" in said) == (command == "validate")


def test_no_room_is_an_error_at_once(repository_folder: Path) -> None:
    script = (
        "import sys; from tasks.config.adapters import store_at; "
        "store_at('file://' + sys.argv[1]).put('pins/a', [bytes(1 << 20)])"
    )
    said = _mounted(
        repository_folder.parent,
        "mkdir full && mount -t tmpfs -o size=100k tmpfs full && "
        f'{sys.executable} -c "{script}" $PWD/full 2>&1 | tail -1',
    )
    assert "StoreFullError: pins/a in file://" in said
    assert "No space left on device. Free space, or use another place" in said
