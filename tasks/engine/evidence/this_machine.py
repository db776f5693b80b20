"""The machine and the program that run now, as a report names them."""

from __future__ import annotations

import getpass
import hashlib
import os
import socket
from functools import cache
from pathlib import Path

import tasks
from tasks.engine.evidence.report import Machine, Unknown


def this_machine() -> Machine:
    """The host, the user and the process that run now."""
    try:
        user: str | Unknown = getpass.getuser()
    except (KeyError, OSError):
        user = Unknown(unknown="the user of the process has no name")
    return Machine(host=socket.gethostname(), user=user, process_id=os.getpid())


@cache
def build_digest() -> str:
    """The SHA-256 over the source files of this program: for each Python file of the package `tasks`, in the order of
    the paths, the line `<SHA-256 of the file>  <path>` and a line feed. `sha256sum` prints the same lines."""
    folder = Path(tasks.__file__).parent
    files = sorted((path.relative_to(folder.parent).as_posix(), path) for path in folder.rglob("*.py"))
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {name}\n" for name, path in files]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
