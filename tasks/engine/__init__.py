"""The engine: the steps of a backup, a restore and a validation, without Prefect.

Here are the use cases, one file each (`snapshot`, `incremental`, `continuous`, `restore`, `validate`, `check`;
`backup_steps` and `restore_steps` contain the steps of backups and restores), the stages, one folder each (`source`,
`capture`, `commit`, `target`, `replay`, `positions`, `validation`, `checks`), and the modules that they share
(`options`, `bins`, `workers`, `progress`, `run_context`, `started_restore`, `topic_selection`, `pattern_notes`).

Promises: decisions are pure functions over values; everything that writes to a cluster first makes a plan that can be
shown and refused; every blocking call ends soon after the run's stop event is set.

Never: import Prefect or an SDK, open a connection (the engine takes ports), import one use case into another, or let
a stage import one that stands above it.
"""
