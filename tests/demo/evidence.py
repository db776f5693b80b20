"""The evidence of the demo's drill: the register, and the page of the report, which is opened if there is a display."""

from __future__ import annotations

import os
import sys
import webbrowser
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.demo.screen import console, run_command, say


def show_evidence(repository: Path) -> None:
    """Print the register, and open the page of the newest report."""
    say("The evidence of the drill is in the repository. The register of all drills:")
    run_command("kafka-backup", "evidence", "list", "--storage", repository.as_uri())
    page = newest_page(repository)
    is_open = open_page(page)
    say("The report is open in a browser:" if is_open else "The report, for a browser:")
    console.print(f"  {page.as_uri()}")


def newest_page(repository: Path) -> Path:
    """The page of the newest report of a repository in a folder. The ids of drills sort by time."""
    return max(repository.glob("reports/*/*/report.html"), key=lambda path: path.parent.name)


def open_page(
    page: Path,
    environment: Mapping[str, str] = os.environ,
    platform: str = sys.platform,
    open_url: Callable[[str], bool] = webbrowser.open,
) -> bool:
    """Whether the page was opened in a browser. Nothing is started without a display: on Linux X11 or Wayland."""
    is_shown = bool(environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"))
    return (is_shown or platform in ("darwin", "win32")) and open_url(page.as_uri())
