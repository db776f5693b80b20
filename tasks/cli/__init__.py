"""The `kafka-backup` command.

Here are the declarations of all commands and options (`main`, `options`, `command_group`), one module for each command,
and the modules that several commands use: output and errors (`session`), exit codes, signals, progress bars, and the
search for the repository and the point that the options name (`inputs`).

Promises: a result goes to stdout, as text or as one JSON document; everything else goes to stderr. Every error becomes
one message and one exit code. The first SIGINT or SIGTERM stops a backup, a restore, a validation and a check
gracefully; the second ends the process at once. `--help` imports no command module.

Never: import Prefect, decide anything about a backup or a restore (the engine decides), show a traceback without `-v`,
or be imported by flows.
"""
