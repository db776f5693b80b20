"""Signals: asked politely once, obeyed at once the second time, whatever the main thread waits for."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

WAITS_FOR_STOP = """
from tasks.cli.session import session
from tasks.model.errors import InterruptedRunError
with session(is_json={is_json}, is_verbose=False) as current:
    current.stops_gracefully = True
    print("ready", flush=True)
    current.stop.wait()
    raise InterruptedRunError("Stopped on request.")
"""

HANGS_IN_C = """
import ctypes
from tasks.cli.session import session
with session(is_json={is_json}, is_verbose=False) as current:
    current.stops_gracefully = {stops_gracefully}
    mutex = ctypes.create_string_buffer(64)
    print("ready", flush=True)
    while True:
        ctypes.CDLL(None).pthread_mutex_lock(mutex)  # the second time for ever, in C: no Python handler runs
"""


@contextmanager
def _started(code: str) -> Iterator[subprocess.Popen[str]]:
    """The code in a process of its own, once it is ready; killed if it does not end."""
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1) as process:
        try:
            assert process.stdout is not None
            assert "ready\n" == process.stdout.readline()
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_command_that_can_stop_ends_in_good_order_with_its_code(number: signal.Signals) -> None:
    with _started(WAITS_FOR_STOP.format(is_json=True)) as process:
        process.send_signal(number)
        out, talk = process.communicate(timeout=30)

    assert 130 == process.returncode
    assert f"{number.name}: stopping; once more ends at once.\nkafka-backup: Stopped on request.\n" == talk
    error = json.loads(out)["error"]
    assert {"type": "InterruptedRunError", "message": "Stopped on request.", "exit_code": 130} == error


def test_the_second_signal_ends_a_command_that_hangs_in_a_library() -> None:
    with _started(HANGS_IN_C.format(is_json=False, stops_gracefully=True)) as process:
        assert process.stderr is not None
        process.send_signal(signal.SIGINT)
        assert "SIGINT: stopping; once more ends at once.\n" == process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, talk = process.communicate(timeout=30)

    assert (130, "", "kafka-backup: Interrupted.\n") == (process.returncode, out, talk)


def test_a_command_that_only_reads_ends_at_the_first_signal_and_says_so_in_json() -> None:
    with _started(HANGS_IN_C.format(is_json=True, stops_gracefully=False)) as process:
        process.send_signal(signal.SIGTERM)
        out, talk = process.communicate(timeout=30)

    assert (130, "kafka-backup: Interrupted.\n") == (process.returncode, talk)
    assert ("InterruptedRunError", 130) == (json.loads(out)["error"]["type"], json.loads(out)["error"]["exit_code"])
