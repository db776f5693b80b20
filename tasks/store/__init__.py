"""Object stores: a small port, an adapter for each backend, and a wrapper that retries.

`protocol.py` is the port: ten methods and their promises, which `tests/contract` tests for every adapter. Each folder
is a backend: `settings.py`, which is its YAML section, URL, block and location in messages, and the adapter.
`registry.py` lists the backends and opens their stores. `retrying.py` repeats failed calls and settles writes whose
response was lost. `probe.py` tests a store before a repository is created in it.

Adapters translate every exception of their SDK into an error of `tasks.model.errors`. No SDK is imported before a store
is opened. Nothing here knows what a repository is, and no backend imports another one.
"""
