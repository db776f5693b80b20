"""SIGINT and SIGTERM: the first stops a command gracefully, the second ends it, even if the main thread hangs in C."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

WAITS_FOR_STOP = """
from tasks.cli.session import open_session
from tasks.model.errors import InterruptedRunError
with open_session(is_json={is_json}, is_verbose=False) as session:
    session.stops_gracefully = True
    print("ready", flush=True)
    session.stop.wait()
    raise InterruptedRunError("Stopped on request.")
"""

HANGS_IN_C = """
import ctypes
from tasks.cli.session import open_session
with open_session(is_json={is_json}, is_verbose=False) as session:
    session.stops_gracefully = {stops_gracefully}
    mutex = ctypes.create_string_buffer(64)
    print("ready", flush=True)
    while True:
        ctypes.CDLL(None).pthread_mutex_lock(mutex)  # the second call blocks for ever in C, so no Python handler runs
"""


@contextmanager
def _started(code: str) -> Iterator[subprocess.Popen[str]]:
    """Run the code in another process and yield it when it is ready. Kills it at the end."""
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1) as process:
        try:
            assert process.stdout is not None
            assert "ready\n" == process.stdout.readline()
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_command_that_stops_gracefully_ends_with_its_own_error_and_exit_code(number: signal.Signals) -> None:
    with _started(WAITS_FOR_STOP.format(is_json=True)) as process:
        process.send_signal(number)
        out, err = process.communicate(timeout=30)

    assert 130 == process.returncode
    assert (
        f"{number.name}: stopping. A second signal ends the command at once.\nkafka-backup: Stopped on request.\n"
        == err
    )
    error = json.loads(out)["error"]
    assert {"type": "InterruptedRunError", "message": "Stopped on request.", "exit_code": 130} == error


def test_the_second_signal_ends_a_command_that_hangs_in_a_library() -> None:
    with _started(HANGS_IN_C.format(is_json=False, stops_gracefully=True)) as process:
        assert process.stderr is not None
        process.send_signal(signal.SIGINT)
        assert "SIGINT: stopping. A second signal ends the command at once.\n" == process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)

    assert (130, "", "kafka-backup: Interrupted.\n") == (process.returncode, out, err)


def test_the_first_signal_ends_a_command_that_does_not_stop_gracefully_with_a_json_error() -> None:
    with _started(HANGS_IN_C.format(is_json=True, stops_gracefully=False)) as process:
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=30)

    assert (130, "kafka-backup: Interrupted.\n") == (process.returncode, err)
    assert ("InterruptedRunError", 130) == (json.loads(out)["error"]["type"], json.loads(out)["error"]["exit_code"])
