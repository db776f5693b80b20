"""The group of all commands. With `--json`, the error of a wrong command line is also one JSON document."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperGroup

from tasks.cli.session import open_session
from tasks.model.errors import ConfigError

_UsageError: type[Exception] = typer.BadParameter.__mro__[1]
"""The base of all errors of a command line. Typer has no public name for it."""


_COMMON_OPTIONS = frozenset({"-q", "--quiet", "-v", "--verbose", "--json"})


class CommandGroup(TyperGroup):
    """Parses the command line and runs the command that it names."""

    def main(self, args: Sequence[str] | None = None, *rest: Any, **more: Any) -> Any:
        """Run a command and end the process with its exit code. With `--json`, an error of the command line becomes a
        JSON document. `open_session` reports all errors of the command itself."""
        given = options_last(sys.argv[1:] if args is None else args)
        if "--json" not in given:
            return super().main(given, *rest, **more)
        try:
            code = super().main(given, *rest, **{**more, "standalone_mode": False})
        except _UsageError as error:
            with open_session(is_json=True, is_verbose=False):
                raise ConfigError(_sentence(error)) from None
        raise SystemExit(code)


def options_last(args: Sequence[str]) -> list[str]:
    """Move the options that every command has (`_COMMON_OPTIONS`) from the front of the command to behind it, because
    only there they are parsed: `-q backup --config FILE` becomes `backup -q --config FILE`.

    If another option is in front of the command, nothing is moved. If there is no command, the result is empty. Pure.
    """
    count = next((index for index, argument in enumerate(args) if argument not in _COMMON_OPTIONS), len(args))
    if count < len(args) and args[count].startswith("-"):
        return list(args)
    return [*args[count : count + 1], *args[:count], *args[count + 1 :]] if count < len(args) else []


def _sentence(error: BaseException) -> str:
    """The error of a command line, and the command that explains the options."""
    message = str(error.format_message()).rstrip(".")  # type: ignore[attr-defined]
    context = getattr(error, "ctx", None)
    path = getattr(context, "command_path", "kafka-backup")
    return f"{message}. See `{path} --help`."
