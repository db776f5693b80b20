"""What every command has in common: its output, its stop event, and the end of all errors."""

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
from tasks.cli.signals import STDERR, end_at_once, listen_for_signals, tell
from tasks.model.errors import InterruptedRunError, KafkaBackupError, StoreUnavailableError

_VISIBLE = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}
"""Group names and metadata are any text: what would move the cursor or colour the terminal is shown instead."""


def now_ms() -> int:
    """The clock of everything the command writes: Unix milliseconds."""
    return time.time_ns() // 1_000_000


@dataclass
class Session:
    """One run of the command. Results go to stdout, as text or as one JSON document; talk goes to stderr.

    A command that checks `stop` and can end in good order sets `stops_gracefully` before it begins: then the first
    SIGINT or SIGTERM only sets `stop`. Otherwise, and the second time, the process ends at once.
    """

    is_json: bool
    is_verbose: bool
    stop: threading.Event = field(default_factory=threading.Event)
    stops_gracefully: bool = False
    is_asked_to_stop: bool = False

    def log(self, text: str) -> None:
        """Talk: progress, notes, hints. A run does not fail because nobody can hear it."""
        with suppress(KafkaBackupError):
            _print(text.translate(_VISIBLE), sys.stderr)

    def print(self, text: str) -> None:
        """A result for people; silent with `--json`. Raises `KafkaBackupError` when it cannot be written."""
        if not self.is_json:
            _print(text.translate(_VISIBLE), sys.stdout)

    def print_json(self, document: object) -> None:
        """The result for programs; silent without `--json`. Raises `KafkaBackupError` when it cannot be written."""
        if self.is_json:
            _print(json.dumps(document, indent=2), sys.stdout)


@contextmanager
def session(*, is_json: bool, is_verbose: bool) -> Iterator[Session]:
    """Run a command's body: signals are heard, every error becomes one message and its exit code."""
    current = Session(is_json, is_verbose)
    logging.basicConfig(level=logging.DEBUG if is_verbose else logging.CRITICAL, stream=sys.stderr)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # no name that a terminal cannot show fails a command
    with listen_for_signals(partial(_on_signal, current)):
        try:
            yield current
        except KafkaBackupError as error:
            ended = _as_interruption(current, error)
            _fail(current, ended, str(ended))
        except Exception as error:
            _fail(current, error, f"Unexpected {type(error).__name__}; run it with -v for the traceback.")


def _print(text: str, stream: TextIO | None) -> None:
    """Print a line. Once its reader has gone it goes nowhere, and the exit code alone tells what came of the command.

    Raises `KafkaBackupError` when it cannot be written for another reason.
    """
    if stream is None:  # closed before the command began
        return
    try:
        print(text, file=stream, flush=True)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # or the exit would try, and complain, once more
        if not isinstance(error, BrokenPipeError):
            raise KafkaBackupError(f"The result could not be written: {error.strerror}.") from None


def _as_interruption(current: Session, error: KafkaBackupError) -> KafkaBackupError:
    """Once a run was asked to stop its store is not tried again: the request ended the run, and not the failure."""
    if not current.is_asked_to_stop or type(error) is not StoreUnavailableError:
        return error
    interruption = InterruptedRunError(f"Stopped while the repository failed. {error}")
    interruption.__cause__ = error
    return interruption


def _fail(current: Session, error: BaseException, message: str) -> NoReturn:
    code = exit_code_of(error)
    if current.is_verbose:
        traceback.print_exception(error)
    current.log(f"kafka-backup: {message}")
    with suppress(KafkaBackupError):
        current.print_json(_error_document(type(error), message, code))
    raise SystemExit(code) from None


def _error_document(kind: type[BaseException], message: str, code: int) -> dict[str, object]:
    return {"error": {"type": kind.__name__, "message": message, "exit_code": code}}


def _on_signal(current: Session, number: signal.Signals) -> None:
    if current.stops_gracefully and not current.is_asked_to_stop:
        current.is_asked_to_stop = True
        tell(STDERR, f"{number.name}: stopping; once more ends at once.\n")
        current.stop.set()  # after the words, or the command's own last ones could come before them
        return
    document = _error_document(InterruptedRunError, "Interrupted.", INTERRUPTED)
    stdout = f"{json.dumps(document, indent=2)}\n" if current.is_json else ""
    end_at_once(INTERRUPTED, stdout=stdout, stderr="kafka-backup: Interrupted.\n")
