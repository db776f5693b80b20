"""The parts of an installation in Prefect: block documents, deployments with schedules, and an automation.

Its files run from the root of a clone: `python -m deployments.blocks FILE`, `python -m deployments.automations`,
`python -m deployments.serve [FILE]`. Each of them may be run again: it updates what it has created. docs/OPERATIONS.md
is the runbook. No file here contains a secret; block files take secrets from the environment.
"""
