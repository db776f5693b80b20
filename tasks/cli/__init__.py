"""The `kafka-backup` command.

Here are the declarations of all commands and options (`main`, `options`), one module for each command, and what the
commands share: output and errors (`session`), exit codes, signals, progress bars, and the search for the repository and
the point that the options name (`inputs`).

Promises: a result goes to stdout, as text or as one JSON document; everything else goes to stderr. Every error becomes
one message and one exit code. The first SIGINT or SIGTERM stops a backup, a restore and a validation gracefully; the
second ends the process at once. `--help` imports no command module.

Never: import Prefect, decide anything about a backup or a restore (the engine does), show a traceback without `-v`, or
be imported by flows.
"""
