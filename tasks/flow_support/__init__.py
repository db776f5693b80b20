"""Prefect around the tasks: blocks, fan-out, retries, progress, artifacts, states.

`*_work` opens a run and holds its lease or pin; the tasks receive its names and ids. `open_flow`, `block_loading` and
`wiring` turn the names of blocks into clusters and repositories. `flow_run_cache` and `task_context` give a task what
its process has opened, in the flow's process and in others. `fan_out` and `bin_tasks` run one task per bin. `*_report`,
`artifacts` and `progress_artifact` show the results, `states` and `retries` decide how runs and tasks end, `run_names`
names them, `task_log` gives them their logger.

It promises that no task of the flow's own process waits for the Prefect server, and that no run fails because of an
artifact. It must never contain a rule about backups, restores or validations: those are in `tasks/engine`. It must
never put a secret into a parameter, a result, a log line or an artifact.
"""
