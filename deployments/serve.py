"""Serves the deployments of prefect.yaml from one process, without a work pool: `python deployments/serve.py [FILE]`.

It registers them, keeps their schedules, and runs each flow run in a process of its own, until it is stopped.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__":  # run as a file, this folder would be searched first, where `blocks` is not the package
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from prefect import serve

from deployments.prefect_file import PREFECT_FILE, entries, environment_of, served


def main(arguments: Sequence[str]) -> int:
    """Returns an exit code when it is stopped. Schedules go on without it: runs that come meanwhile are late."""
    chosen = entries(Path(arguments[0]) if arguments else PREFECT_FILE)
    for entry in chosen:
        for name, value in environment_of(entry).items():
            os.environ.setdefault(name, value)
    serve(*(served(entry) for entry in chosen), pause_on_shutdown=False)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
