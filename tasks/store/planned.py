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


AZURE = PlannedBackend(
    name="azure",
    url_schemes=frozenset({"az", "azure", "abfs", "abfss", "wasb", "wasbs", "http", "https"}),
    keys=frozenset(
        {
            "account_name",
            "container_name",
            "account_key",
            "sas_token",
            "prefix",
            "endpoint",
            "use_workload_identity",
            "client_id",
            "tenant_id",
            "client_secret",
        }
    ),
)

GCS = PlannedBackend(
    name="gcs",
    url_schemes=frozenset({"gs", "gcs"}),
    keys=frozenset({"bucket", "service_account_path", "prefix", "endpoint"}),
)

PLANNED_BACKENDS = (AZURE, GCS)
