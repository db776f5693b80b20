"""What every command has in common: its output, its stop event, and the end of all errors."""

from __future__ import annotations

import json
import logging
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import NoReturn

from tasks.cli.exit_codes import INTERRUPTED, exit_code_of
from tasks.model.errors import KafkaBackupError


def now_ms() -> int:
    """The clock of everything the command writes: Unix milliseconds."""
    return time.time_ns() // 1_000_000


@dataclass
class Session:
    """One run of the command. Results go to stdout, as text or as one JSON document; talk goes to stderr."""

    is_json: bool
    is_verbose: bool
    stop: threading.Event = field(default_factory=threading.Event)

    def say(self, text: str) -> None:
        """Talk: progress, notes, hints."""
        print(text, file=sys.stderr, flush=True)

    def show(self, text: str) -> None:
        """A result for people; silent with `--json`."""
        if not self.is_json:
            print(text, flush=True)

    def give(self, document: object) -> None:
        """The result for programs; silent without `--json`."""
        if self.is_json:
            print(json.dumps(document, ensure_ascii=False, indent=2, default=str), flush=True)


@contextmanager
def session(*, is_json: bool, is_verbose: bool) -> Iterator[Session]:
    """Run a command's body: signals set `stop`, every error becomes one sentence and its exit code."""
    current = Session(is_json, is_verbose)
    logging.basicConfig(level=logging.DEBUG if is_verbose else logging.CRITICAL, stream=sys.stderr)
    _catch_signals(current)
    try:
        yield current
    except BrokenPipeError:
        _end_quietly()
    except KafkaBackupError as error:
        _fail(current, error, str(error))
    except KeyboardInterrupt as error:
        _fail(current, error, "Interrupted.")
    except Exception as error:
        _fail(current, error, f"Unexpected {type(error).__name__}; run it with -v for the details.")


def _fail(current: Session, error: BaseException, message: str) -> NoReturn:
    code = exit_code_of(error)
    if current.is_verbose:
        traceback.print_exception(error)
    current.say(f"kafka-backup: {message}")
    current.give({"error": {"type": type(error).__name__, "message": message, "exit_code": code}})
    raise SystemExit(code) from None


def _end_quietly() -> NoReturn:
    """Whoever read our output has gone. Python would complain once more when it flushes at exit."""
    sys.stdout = None
    raise SystemExit(0)


def _catch_signals(current: Session) -> None:
    """The first SIGINT or SIGTERM asks to stop; a second one ends the process at once."""

    def on_signal(number: int, _frame: FrameType | None) -> None:
        if current.stop.is_set():
            raise SystemExit(INTERRUPTED)
        current.stop.set()
        current.say(f"{signal.Signals(number).name}: stopping; once more ends at once.")

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, on_signal)
