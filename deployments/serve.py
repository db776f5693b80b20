"""Serves the deployments of prefect.yaml from one process, without a work pool: `python -m deployments.serve [FILE]`.

It registers them, keeps their schedules, and runs each flow run in a process of its own, until it is stopped.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from prefect import serve

from deployments.prefect_file import PREFECT_FILE, entries, environment_of, served


def main(arguments: Sequence[str]) -> int:
    """Serve until the process is stopped. Returns an exit code.

    The schedules remain on the server afterwards: runs that are due wait until a process serves them again.
    """
    chosen = entries(Path(arguments[0]) if arguments else PREFECT_FILE)
    for entry in chosen:
        for name, value in environment_of(entry).items():
            os.environ.setdefault(name, value)
    serve(*(served(entry) for entry in chosen), pause_on_shutdown=False)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
