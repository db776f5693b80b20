"""The Prefect flows: `snapshot_backup`, `incremental_backup`, `continuous_backup`, `consolidate`, `retention`,
`validate`, `validate_restore`, `restore`, `restore_drill` and `check`.

A flow contains the order of its tasks and nothing else. The tasks are in `tasks/*.py`. Everything that a flow opens,
holds and reports is in `tasks/flow_support`. `parameters.py` contains the parameters that several flows have, with the
titles and sentences of the forms in Prefect's UI.

Every flow runs with any task runner, because tasks receive names and plain values. A flow ends in the state Completed,
Partial, Skipped or Failed, with one sentence as the reason. A flow must never read or write a cluster or a repository
itself, and its parameters must never contain a secret: they are names of blocks.
"""
