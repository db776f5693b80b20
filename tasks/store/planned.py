"""Backends that later versions will have. The errors for their keys and URLs are "not available yet", and not
"unknown"."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedBackend:
    """A backend that is not available yet: its name in YAML files, the schemes of its URLs, and its keys except
    `backend`."""

    name: str
    url_schemes: frozenset[str]
    keys: frozenset[str]


GCS = PlannedBackend(
    name="gcs",
    url_schemes=frozenset({"gs", "gcs"}),
    keys=frozenset({"bucket", "service_account_path", "prefix", "endpoint"}),
)

PLANNED_BACKENDS = (GCS,)
