"""What the demo shows, and how."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.markup import escape

console = Console(highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """What happens next."""
    console.print(f"\n[cyan]{text}[/cyan]")


def show_command(command: str) -> None:
    """A command that a reader could type."""
    console.print(f"[bold]$ {escape(command)}[/bold]")


def run_command(program: str, *arguments: str) -> None:
    """Show a command of this Python, run it, and raise `SystemExit` unless it ends well."""
    show_command(shlex.join([program, *arguments]))
    done = subprocess.run([str(Path(sys.executable).with_name(program)), *arguments], check=False)
    if done.returncode:
        raise SystemExit(f"{program} {arguments[0]} ended with exit code {done.returncode}")
