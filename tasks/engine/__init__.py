"""Use cases: a backup, a restore and a validation, each in a folder of its own, and what they share. No Prefect."""
