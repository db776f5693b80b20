"""Object stores: a small port, an adapter for each backend, and a wrapper that retries.

`protocol.py` is the port: ten methods and their promises, which `tests/contract` tests for every adapter. Each folder
is a backend with its `settings.py` and its adapter. The settings are its YAML section, its URL, its Prefect block and
its location in messages. `registry.py` lists the backends and opens their stores. `retrying.py` repeats failed calls,
and finds out whether writes were carried out when their response was lost. `probe.py` tests a store before a repository
is created in it; `trial.py` opens a store for a check. `bucket_rules.py` is the port of a bucket's lifecycle rules,
which only some backends have; `bucket.py` opens it. `endpoint.py` checks endpoint URLs, and `diagnosis.py` finds a
port that expects TLS.

Adapters translate every exception of their SDK into an error of `tasks.model.errors`. No SDK is imported before a store
is opened. Nothing here depends on the content of a repository, and no backend imports another one.
"""
