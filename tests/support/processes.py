"""Processes that tests, the demo and benchmarks start. All of them end with the process that started them.

The first call of `guard_children` starts a guard, a small process of its own, and puts a mark into `os.environ`:
`NAME=1`, with a name that no other process has. Every process that is started from then on inherits the mark, and so do
the processes which that one starts. The guard waits until the process that started it is gone. Then it kills every
process that has the mark, and removes the folders of `temporary_folder`.

The guard learns of the end from a pipe: only the starting process holds its other end, and the kernel closes that when
the process is gone, also after SIGKILL. Linux's parent-death signal cannot replace this, because it is sent when the
*thread* that started a child ends, and because it is not sent to the child's own children. Process groups cannot
replace it either, because a Prefect worker gives each flow run a group of its own.

Linux only, because the marks are read from /proc.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType

END_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 30.0
_SCAN_INTERVAL_S = 0.02

_guard: tuple[str, int] | None = None
"""The name of the mark, and the pipe's end, once this process has a guard."""


def guard_children() -> None:
    """From now on every process that this process starts ends with it. May be called again."""
    global _guard
    if _guard is not None:
        return
    name = f"STARTED_BY_TESTS_{uuid.uuid4().hex}"
    reading, writing = os.pipe()
    subprocess.Popen(
        [sys.executable, "-I", "-S", __file__, f"{name}=1"],
        stdin=reading,
        stdout=subprocess.DEVNULL,  # a reader of our output must not wait for the guard to close it
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # signals that a terminal sends to our group do not reach it
    )
    os.close(reading)
    os.environ[name] = "1"  # only now: a guard with the mark would kill itself
    _guard = name, writing


def temporary_folder(prefix: str, parent: str | None = None) -> Path:
    """A new folder. The guard removes it after the end of this process, unless that has removed it before."""
    guard_children()
    assert _guard is not None
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent)).resolve()
    os.write(_guard[1], os.fsencode(folder) + b"\n")
    return folder


def start_server(
    command: Sequence[str], *, log: Path, environment: Mapping[str, str] = os.environ, folder: Path | None = None
) -> subprocess.Popen[bytes]:
    """Start a process which ends with this one at the latest. What it prints is appended to `log`.

    Ctrl-C at the terminal does not reach it, so that the caller can end its servers in order.
    """
    guard_children()
    assert _guard is not None
    with open(log, "ab") as out:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env={**environment, _guard[0]: "1"},
            cwd=folder,
            start_new_session=True,
        )


def end_server(process: subprocess.Popen[bytes] | None, sign: signal.Signals = signal.SIGKILL) -> None:
    """Send the signal and wait until the process is gone. A process that is not gone in `STOP_TIMEOUT_S` is killed.

    Does nothing for None. May be called again.
    """
    if process is None:
        return
    process.send_signal(sign)
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def interrupt_on(*signals: signal.Signals) -> None:
    """Each of these signals raises `KeyboardInterrupt` in the main thread, so that fixtures and `with` blocks end.

    A second signal ends the process at once, and the guard does the rest. SIGHUP stays ignored where it is, because
    `nohup` asks for that.
    """

    def interrupt(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        raise KeyboardInterrupt(signal.Signals(number).name)

    for number in signals:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, interrupt)


def marked(mark: str) -> list[int]:
    """The ids of all other running processes whose environment has `mark` (`NAME=value`)."""
    wanted = mark.encode()
    return [pid for pid in _pids() if pid != os.getpid() and wanted in _environment(pid)]


def end_marked(mark: str) -> None:
    """SIGKILL every marked process, also those that are started meanwhile, and return when none is left.

    Raises `TimeoutError` if one is still there after `END_TIMEOUT_S`.
    """
    deadline = time.monotonic() + END_TIMEOUT_S
    empty_scans = 0
    while empty_scans < 2:  # for a moment in which it loads its program, a process has no environment
        pids = marked(mark)
        for pid in pids:
            _kill(pid)
        if time.monotonic() > deadline:
            raise TimeoutError(f"still running after SIGKILL: {pids}")
        empty_scans = 0 if pids else empty_scans + 1
        time.sleep(_SCAN_INTERVAL_S)  # it is not our child, so there is nothing to wait on


def _pids() -> Iterator[int]:
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def _environment(pid: int) -> list[bytes]:
    """Empty for a process that is gone, is a zombie, or is another user's."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _forget_guard() -> None:
    """A fork that goes on without starting a program closes its copy of the pipe's end, or the guard would wait for
    its end too."""
    global _guard
    if _guard is not None:
        os.close(_guard[1])
        _guard = None


os.register_at_fork(after_in_child=_forget_guard)


def _be_guard(mark: str) -> None:
    """Wait for the end of the process that started this one; then end its marked processes and remove its folders."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    folders = sys.stdin.buffer.read().splitlines()  # returns when every process has closed the other end of the pipe
    try:
        end_marked(mark)
    finally:
        for folder in folders:
            shutil.rmtree(os.fsdecode(folder), ignore_errors=True)


if __name__ == "__main__":
    _be_guard(sys.argv[1])
