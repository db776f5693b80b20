"""Progress: lines where stderr is not a terminal, a bar without colours where NO_COLOR asks for it."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

from tasks.cli.progress_bars import LINE_EVERY_S, ProgressBar, ProgressLines, progress_text
from tasks.cli.session import Session
from tasks.model.partition import Partition

SOURCE = Partition("orders", "A" * 22, 0)
MIB = 1 << 20

SHOWS = """
from tasks.cli.progress_bars import ProgressBar
from tasks.cli.session import Session
from tasks.model.partition import Partition
with ProgressBar(Session(is_json=False, is_verbose=False)) as bar:
    bar.start("backing up", 100)
    bar(Partition("orders", "id", 0), records=7, log_bytes=50)
"""


class _Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_a_line_has_the_share_the_records_the_rate_and_the_time_left() -> None:
    text = progress_text("backing up", 256 * MIB, 1024 * MIB, 12_345, 16.0)
    assert "backing up: 256.0 MiB of 1.0 GiB (25 %), 12,345 records, 16.0 MiB/s, about 48.0 s left" == text


@pytest.mark.parametrize("total_bytes", [0, 255 * MIB, 256 * MIB])
def test_an_unknown_or_exceeded_estimate_has_neither_a_share_nor_a_time_left(total_bytes: int) -> None:
    assert "x: 256.0 MiB, 9 records, 16.0 MiB/s" == progress_text("x", 256 * MIB, total_bytes, 9, 16.0)


def test_nothing_read_yet_has_no_time_left() -> None:
    assert "x: 0 B, 0 records, 0 B/s" == progress_text("x", 0, 100, 0, 0.0)


def test_lines_come_at_most_every_ten_seconds_and_a_short_run_has_none() -> None:
    clock, lines = _Clock(), list[str]()
    report = ProgressLines("restoring", 400 * MIB, lines.append, clock=clock)

    for now_s in (1.0, 9.9, 10.0, 10.1, 19.9, 20.5):
        clock.now_s = now_s
        report(SOURCE, records=1, log_bytes=10 * MIB)

    assert 10.0 == LINE_EVERY_S
    assert [
        "restoring: 30.0 MiB of 400.0 MiB (7 %), 3 records, 3.0 MiB/s, about 2 min 3 s left",
        "restoring: 60.0 MiB of 400.0 MiB (15 %), 6 records, 2.9 MiB/s, about 1 min 56 s left",
    ] == lines


def test_quiet_shows_no_progress(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("tasks.cli.progress_bars.LINE_EVERY_S", 0.0)
    for is_quiet in (False, True):
        with ProgressBar(Session(is_json=False, is_verbose=False, is_quiet=is_quiet)) as bar:
            bar.start("backing up", 100)
            bar(SOURCE, records=7, log_bytes=50)
        assert is_quiet == ("" == capsys.readouterr().err)


def _on_terminal(**environment: str) -> bytes:
    """What the progress of one run writes to a terminal."""
    main, terminal = pty.openpty()
    plain = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "TERM", "FORCE_COLOR")}
    process = subprocess.Popen(
        [sys.executable, "-c", SHOWS], stderr=terminal, stdin=terminal, env={**plain, "TERM": "xterm", **environment}
    )
    os.close(terminal)
    shown = b""
    try:
        while part := os.read(main, 4096):
            shown += part
    except OSError:  # Linux ends a terminal without writers so
        pass
    finally:
        os.close(main)
    assert 0 == process.wait(timeout=60)
    return shown


def test_a_terminal_gets_a_bar_and_no_color_leaves_out_its_colours() -> None:
    coloured, plain = _on_terminal(), _on_terminal(NO_COLOR="1")
    assert (True, True) == (b"backing up" in coloured, b"\x1b[38;" in coloured or b"\x1b[3" in coloured)
    assert (True, False) == (b"backing up" in plain, b"\x1b[3" in plain)


def test_a_dumb_terminal_gets_no_bar() -> None:
    assert b"" == _on_terminal(TERM="dumb")
