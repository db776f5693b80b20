"""The program. A file in this folder is a Prefect task; `flow_support/` is the rest of Prefect; every other folder is
plain Python and works without Prefect.

`backup.py`, `continuous.py`, `restore.py`, `validate.py` and `check.py` contain the tasks of the flows. A task receives
names and plain values, runs one step of the engine, and returns a small value, so it can run in any process. `cli/` is
the command, which runs the same steps in one process.

The folders import each other in one direction only: cli → reports → config → engine → repository → broker, store,
segment → batches → model. A task must never decide anything about a backup, and must never pass a connection, a plan
or a secret to another task.
"""
