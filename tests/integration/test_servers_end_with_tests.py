"""Servers that tests start end with the test process: by its end, by SIGTERM and by SIGKILL, whatever started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.object_stores import MinIO
from tests.support.prefect_server import ROOT
from tests.support.processes import end_marked, marked

END_TIMEOUT_S = 60.0

TEST_FILE = """
import subprocess, threading, time
from pathlib import Path
import pytest

@pytest.fixture
def resource():
    yield
    Path({torn_down!r}).touch()

def test_waits(minio, resource):
    grandchild = ["setsid", "--fork", "sleep", "600"]  # in a session of its own, its parent has ended
    starter = threading.Thread(target=subprocess.run, args=(grandchild,))
    starter.start()
    starter.join()
    Path({ready!r}).touch()
    time.sleep(600)
"""

FLOW_RUN = """
import sys, time
from pathlib import Path
from tests.support.installation import installed

with installed(Path(sys.argv[1]), ["127.0.0.1:1"]) as installation:
    run = installation.start("snapshot-backup/nightly")
    while not installation.processes_of(run):
        time.sleep(0.1)
    Path(sys.argv[2]).touch()
    time.sleep(600)
"""


@pytest.mark.minio
@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGKILL])
def test_no_process_and_no_folder_is_left_of_a_test_run_that_is_killed(sign: signal.Signals, tmp_path: Path) -> None:
    file, ready, torn_down = tmp_path / "test_waits.py", tmp_path / "ready", tmp_path / "torn-down"
    file.write_text(TEST_FILE.format(ready=str(ready), torn_down=str(torn_down)), encoding="utf-8")
    options = ["-p", "tests.conftest", "-p", "no:cacheprovider", f"--basetemp={tmp_path / 'base'}"]

    with _started(["-m", "pytest", "-c", os.devnull, *options, str(file)], tmp_path, ready) as (process, mark):
        _await(lambda: {"minio", "sleep"} <= _programs(mark))
        process.send_signal(sign)
        code = process.wait(END_TIMEOUT_S)
        _await(lambda: not marked(mark))

    assert (2 if sign == signal.SIGTERM else -sign) == code
    assert (sign == signal.SIGTERM) == torn_down.exists(), "only SIGTERM ends fixtures"
    assert [] == list((tmp_path / "tmp").iterdir())


@pytest.mark.minio
def test_a_server_outlives_the_thread_that_started_it(tmp_path: Path) -> None:
    server = MinIO(tmp_path)
    starter = threading.Thread(target=server.start)
    starter.start()
    starter.join()
    try:
        server.new_bucket()
    finally:
        server.close()


@pytest.mark.soak
def test_the_flow_runs_of_a_worker_end_with_the_process_that_started_prefect(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    with _started(["-c", FLOW_RUN, str(tmp_path), str(ready)], tmp_path, ready) as (process, mark):
        groups = {os.getpgid(pid) for pid in marked(mark)}
        process.kill()
        process.wait()
        _await(lambda: not marked(mark))

    assert len(groups) >= 5, "the program, its guard, the server, the worker and the flow run"


@contextmanager
def _started(arguments: Sequence[str], folder: Path, ready: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A Python in a run of its own that has made the file `ready`, and the mark of all its processes.

    Its temporary files are in `{folder}/tmp`, what it prints in `{folder}/output.log`.
    """
    name = f"KILLED_RUN_{uuid.uuid4().hex}"
    (folder / "tmp").mkdir()
    environment = {**os.environ, name: "1", "TMPDIR": str(folder / "tmp"), "PYTHONPATH": str(ROOT)}
    with open(folder / "output.log", "wb") as log:
        process = subprocess.Popen([sys.executable, *arguments], cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        _await(lambda: ready.exists() or process.poll() is not None, timeout_s=200)
        assert process.poll() is None, (folder / "output.log").read_text()
        yield process, f"{name}=1"
    finally:
        end_marked(f"{name}=1")
        process.wait()


def _programs(mark: str) -> set[str]:
    return {Path(os.readlink(f"/proc/{pid}/exe")).name.partition("-")[0] for pid in marked(mark)}


def _await(is_so: Callable[[], bool], timeout_s: float = END_TIMEOUT_S) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)  # processes of others have no event to wait for
