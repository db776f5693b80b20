"""Errors end as one message and one exit code, without secrets. Output that cannot be written has defined results."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tasks.cli.session import Session, open_session
from tasks.model.errors import DamagedError, LockedError

SECRET = "hunter2-marker"

WRITES = """
from tasks.cli.session import open_session
with open_session(is_json={is_json}, is_verbose=False) as session:
    session.print("x" * 100)
    session.print("y" * 100)
    session.print_json({{"x": 1}})
    raise SystemExit(20)
"""


def _end(error: Exception, *, is_json: bool = False, is_verbose: bool = False) -> int:
    """The exit code of a command whose body raises `error`."""
    with pytest.raises(SystemExit) as ended, open_session(is_json=is_json, is_verbose=is_verbose):
        raise error
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_an_error_of_the_tree_becomes_one_message_and_its_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert 11 == _end(LockedError("Another writer has it."))
    assert ("", "kafka-backup: Another writer has it.\n") == capsys.readouterr()


def test_an_error_with_json_becomes_one_document_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert 11 == _end(LockedError("Another writer has it."), is_json=True)

    out, err = capsys.readouterr()
    assert {"error": {"type": "LockedError", "message": "Another writer has it.", "exit_code": 11}} == json.loads(out)
    assert "kafka-backup: Another writer has it.\n" == err


def test_an_unexpected_error_is_reported_by_its_class_without_its_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert 1 == _end(RuntimeError(f"password {SECRET}"), is_json=True)

    out, err = capsys.readouterr()
    assert "kafka-backup: Unexpected RuntimeError. Run the command with -v to see the traceback.\n" == err
    assert SECRET not in out


def test_verbose_prints_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert 1 == _end(RuntimeError("what happened"), is_verbose=True)

    err = capsys.readouterr().err
    assert "Traceback" in err
    assert "RuntimeError: what happened" in err


def test_a_broken_connection_is_a_failure_and_not_a_closed_stdout(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert 1 == _end(BrokenPipeError("the broker has gone"))
    assert "Unexpected BrokenPipeError" in capsys.readouterr().err


def test_control_characters_are_printed_as_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    Session(is_json=False, is_verbose=False).print("group \x1b[2J\x9bm:\tünïcödé\n2")

    assert "group \\x1b[2J\\x9bm:\tünïcödé\n2\n" == capsys.readouterr().out


def test_json_is_ascii_for_any_names(capsys: pytest.CaptureFixture[str]) -> None:
    Session(is_json=True, is_verbose=False).print_json({"group": "größe\x1b"})

    out = capsys.readouterr().out
    assert out.isascii()
    assert {"group": "größe\x1b"} == json.loads(out)


def test_a_value_that_json_cannot_represent_is_an_error() -> None:
    with pytest.raises(TypeError):
        Session(is_json=True, is_verbose=False).print_json({"bytes": b""})


@pytest.mark.parametrize("is_json", [False, True])
def test_a_closed_stdout_changes_neither_the_exit_code_nor_stderr(is_json: bool) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITES.format(is_json=is_json)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()

    assert (20, b"") == (process.wait(timeout=30), err)


@pytest.mark.parametrize("is_json", [False, True])
def test_a_result_that_cannot_be_written_to_a_full_disk_is_a_failure(is_json: bool) -> None:
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


def test_a_log_line_that_cannot_be_written_does_not_fail_a_run() -> None:
    code = "from tasks.cli.session import Session; Session(False, False).log('x'); print('done')"
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=full, text=True, timeout=30, check=False
        )

    assert (0, "done\n") == (done.returncode, done.stdout)


def test_damage_comes_with_the_next_step(capsys: pytest.CaptureFixture[str]) -> None:
    assert 20 == _end(DamagedError("data/x is cut: it ends before byte 7"))
    assert (
        "kafka-backup: data/x is cut: it ends before byte 7. `kafka-backup validate` names all damage of a point. "
        "Bring the object back from a copy of the store, or use an older point: `kafka-backup list` shows them.\n"
    ) == capsys.readouterr().err
