"""Use cases: plan, capture, commit, validate, preflight, replay, verify, groups, finalize. Imports no Prefect."""
