"""One execution of the command: its output on stdout and stderr, its stop event, and how an error or a signal ends it
with a message and an exit code."""

from __future__ import annotations

import io
import json
import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import NoReturn, TextIO

from tasks.cli.exit_codes import INTERRUPTED, exit_code_of
from tasks.cli.signals import STDERR, end_process, listen_for_signals, write_if_ready
from tasks.model.errors import (
    DamagedError,
    InterruptedRunError,
    KafkaBackupError,
    SignatureError,
    StoreUnavailableError,
)
from tasks.model.waiting import WaitReport

_ESCAPES = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}
"""Control characters except line ends and tabs are printed as escapes. Names of groups and metadata can contain any
text, and a control character could move the cursor or change colours of the terminal."""


def now_ms() -> int:
    """The current time in Unix milliseconds, for the documents that the command writes."""
    return time.time_ns() // 1_000_000


@dataclass
class Session:
    """One execution of the command. Results go to stdout, as text or as one JSON document. The rest goes to stderr.

    A command that checks `stop` and then ends without damage sets `stops_gracefully` before it begins. Then the first
    SIGINT or SIGTERM only sets `stop` and `is_stop_requested`. Every other SIGINT or SIGTERM ends the process at once.
    """

    is_json: bool
    is_verbose: bool
    is_quiet: bool = False
    stop: threading.Event = field(default_factory=threading.Event)
    stops_gracefully: bool = False
    is_stop_requested: bool = False

    def log(self, text: str) -> None:
        """Print progress, notes and hints to stderr; nothing with `--quiet`. An output error is ignored, so that a run
        does not fail because of it."""
        if not self.is_quiet:
            self.warn(text)

    def warn(self, text: str) -> None:
        """Print an error, a warning or a question to stderr, also with `--quiet`. An output error is ignored."""
        with suppress(KafkaBackupError):
            _print(text.translate(_ESCAPES), sys.stderr)

    def report_wait(self, report: WaitReport) -> None:
        """Print a report of a wait for a cluster or a store. It is used as `OnWaiting`."""
        self.log(f"kafka-backup: {report}")

    def log_note(self, note: str) -> None:
        """Print a note with `log`. It is used as `OnNote`."""
        self.log(f"note: {note}")

    def print(self, text: str) -> None:
        """Print a result as text; nothing with `--json`. Raises `KafkaBackupError` if it cannot be written."""
        if not self.is_json:
            _print(text.translate(_ESCAPES), sys.stdout)

    def print_json(self, document: object) -> None:
        """Print the result as JSON; nothing without `--json`. Raises `KafkaBackupError` if it cannot be written."""
        if self.is_json:
            _print(json.dumps(document, indent=2), sys.stdout)

    def print_json_line(self, document: object) -> None:
        """Print one of many results as one line of JSON; nothing without `--json`. Raises as `print_json`."""
        if self.is_json:
            _print(json.dumps(document), sys.stdout)


@contextmanager
def open_session(*, is_json: bool, is_verbose: bool, is_quiet: bool = False) -> Iterator[Session]:
    """A context for the body of a command. SIGINT and SIGTERM are handled as `Session` describes. An error of the body
    becomes one message and a `SystemExit` with its exit code."""
    session = Session(is_json, is_verbose, is_quiet)
    logging.basicConfig(level=logging.DEBUG if is_verbose else logging.CRITICAL, stream=sys.stderr)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # so that a name that stdout cannot encode is no error
    with listen_for_signals(partial(_on_signal, session)):
        try:
            yield session
        except KafkaBackupError as error:
            reported = _as_interruption(session, error)
            _fail(session, reported, _with_next_step(reported))
        except Exception as error:
            _fail(session, error, f"Unexpected {type(error).__name__}. Run the command with -v to see the traceback.")


def _print(text: str, stream: TextIO | None) -> None:
    """Print a line. If the reader of the stream has closed it, the line is dropped without an error.

    Raises `KafkaBackupError` if the line cannot be written for another reason.
    """
    if stream is None:  # the stream was closed before the command began
        return
    try:
        print(text, file=stream, flush=True)
    except OSError as error:
        # Otherwise the interpreter would flush the same bytes again when it ends, and print an error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        if not isinstance(error, BrokenPipeError):
            raise KafkaBackupError(f"The result could not be written: {error.strerror}.") from None


def _as_interruption(session: Session, error: KafkaBackupError) -> KafkaBackupError:
    """The error to report. After a stop request, calls of the store are not repeated. So a `StoreUnavailableError`
    becomes an `InterruptedRunError`, because the stop request is the reason why the run ended."""
    if not session.is_stop_requested or type(error) is not StoreUnavailableError:
        return error
    interruption = InterruptedRunError(f"Stopped while the repository was not available. {error}")
    interruption.__cause__ = error
    return interruption


def _with_next_step(error: KafkaBackupError) -> str:
    """The message of an error. That of damage also says what to do, because the module that finds it does not know what
    else the repository contains."""
    if not isinstance(error, DamagedError) or isinstance(error, SignatureError):
        return str(error)
    return (
        f"{str(error).rstrip('.')}. `kafka-backup validate` names all damage of a point. Bring the object back from a "
        "copy of the store, or use an older point: `kafka-backup list` shows them."
    )


def _fail(session: Session, error: BaseException, message: str) -> NoReturn:
    code = exit_code_of(error)
    if session.is_verbose:
        traceback.print_exception(error)
    session.warn(f"kafka-backup: {message}")
    with suppress(KafkaBackupError):
        session.print_json(_error_document(type(error), message, code))
    raise SystemExit(code) from None


def _error_document(kind: type[BaseException], message: str, code: int) -> dict[str, object]:
    return {"error": {"type": kind.__name__, "message": message, "exit_code": code}}


def _on_signal(session: Session, number: signal.Signals) -> None:
    if session.stops_gracefully and not session.is_stop_requested:
        session.is_stop_requested = True
        write_if_ready(STDERR, f"{number.name}: stopping. A second signal ends the command at once.\n")
        session.stop.set()  # after the message, so that the command's last message comes later
        return
    document = _error_document(InterruptedRunError, "Interrupted.", INTERRUPTED)
    stdout = f"{json.dumps(document, indent=2)}\n" if session.is_json else ""
    end_process(INTERRUPTED, stdout=stdout, stderr="kafka-backup: Interrupted.\n")
