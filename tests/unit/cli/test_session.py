"""The end of all errors: one message, one code, no secret; and output that cannot be written."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tasks.cli.session import Session, session
from tasks.model.errors import LockedError

SECRET = "hunter2-marker"

WRITES = """
from tasks.cli.session import session
with session(is_json={is_json}, is_verbose=False) as current:
    current.print("x" * 100)
    current.print("y" * 100)
    current.print_json({{"x": 1}})
    raise SystemExit(20)
"""


def _end(error: Exception, *, is_json: bool = False, is_verbose: bool = False) -> int:
    """The exit code of a command whose body raises `error`."""
    with pytest.raises(SystemExit) as ended, session(is_json=is_json, is_verbose=is_verbose):
        raise error
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_an_error_of_ours_is_one_message_and_its_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert 11 == _end(LockedError("Another writer has it."))
    assert ("", "kafka-backup: Another writer has it.\n") == capsys.readouterr()


def test_an_error_is_one_json_document_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert 11 == _end(LockedError("Another writer has it."), is_json=True)

    out, talk = capsys.readouterr()
    assert {"error": {"type": "LockedError", "message": "Another writer has it.", "exit_code": 11}} == json.loads(out)
    assert "kafka-backup: Another writer has it.\n" == talk


def test_an_unexpected_error_shows_its_kind_and_nothing_that_it_holds(capsys: pytest.CaptureFixture[str]) -> None:
    assert 1 == _end(RuntimeError(f"password {SECRET}"), is_json=True)

    out, talk = capsys.readouterr()
    assert "kafka-backup: Unexpected RuntimeError; run it with -v for the traceback.\n" == talk
    assert SECRET not in out


def test_the_traceback_is_there_for_whoever_asks(capsys: pytest.CaptureFixture[str]) -> None:
    assert 1 == _end(RuntimeError("what happened"), is_verbose=True)

    talk = capsys.readouterr().err
    assert "Traceback" in talk
    assert "RuntimeError: what happened" in talk


def test_a_connection_that_breaks_is_a_failure_and_not_a_reader_that_has_gone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert 1 == _end(BrokenPipeError("the broker has gone"))
    assert "Unexpected BrokenPipeError" in capsys.readouterr().err


def test_a_name_cannot_move_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    Session(is_json=False, is_verbose=False).print("group \x1b[2J\x9bm:\tünïcödé\n2")

    assert "group \\x1b[2J\\x9bm:\tünïcödé\n2\n" == capsys.readouterr().out


def test_json_is_plain_ascii_whatever_the_names_are(capsys: pytest.CaptureFixture[str]) -> None:
    Session(is_json=True, is_verbose=False).print_json({"group": "größe\x1b"})

    out = capsys.readouterr().out
    assert out.isascii()
    assert {"group": "größe\x1b"} == json.loads(out)


def test_what_json_cannot_hold_is_never_guessed_at() -> None:
    with pytest.raises(TypeError):
        Session(is_json=True, is_verbose=False).print_json({"bytes": b""})


@pytest.mark.parametrize("is_json", [False, True])
def test_a_reader_that_has_gone_changes_neither_the_exit_code_nor_the_talk(is_json: bool) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITES.format(is_json=is_json)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    talk = process.stderr.read()
    process.stderr.close()

    assert (20, b"") == (process.wait(timeout=30), talk)


@pytest.mark.parametrize("is_json", [False, True])
def test_a_result_that_does_not_fit_on_the_disk_is_a_failure(is_json: bool) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", WRITES.format(is_json=is_json)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=30,
            check=False,
        )

    expected = "kafka-backup: The result could not be written: No space left on device.\n"
    assert (1, expected) == (done.returncode, done.stderr)


def test_a_run_does_not_fail_because_nobody_can_hear_its_talk() -> None:
    code = "from tasks.cli.session import Session; Session(False, False).log('x'); print('done')"
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=full, text=True, timeout=30, check=False
        )

    assert (0, "done\n") == (done.returncode, done.stdout)
