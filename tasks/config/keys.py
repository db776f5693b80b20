"""Every key of the files that is not simply honoured: those that mean nothing here, and those whose feature is not
here yet. What is in neither table and in no model is unknown."""

from __future__ import annotations

from collections.abc import Mapping

NOTED: Mapping[str, str] = {
    "source.connection": "the connection takes care of itself",
    "target.connection": "the connection takes care of itself",
    "backup.include_offset_headers": "stored batches keep their offsets; nothing is added to records",
    "backup.sync_interval_secs": "every object is durable before the next step",
    "backup.poll_interval_ms": "a snapshot never polls; it ends on its planned offsets",
    "backup.segment_max_interval_ms": "a snapshot commits once, at its end",
    "backup.checkpoint_interval_secs": "a snapshot commits once, at its end",
    "restore.produce_batch_size": "stored batches are sent as they are",
    "restore.checkpoint_state": "a restore keeps its state in the repository",
    "restore.checkpoint_interval_secs": "a restore keeps its state in the repository",
}
"""Accepted with a note that says what replaces them; a section's name stands for everything in it."""

_KERBEROS_KEYS = tuple(
    f"{cluster}.security.{key}"
    for cluster in ("source", "target")
    for key in ("sasl_kerberos_service_name", "sasl_keytab_path", "sasl_krb5_config_path")
)

NOT_YET: Mapping[str, str] = {
    "offset_storage": "this version makes snapshots, not incremental backups",
    "metrics": "this version serves no metrics",
    "encryption": "this version does not encrypt",
    "retention": "this version does not remove restore points",
    "drill": "this version has no restore drills",
    "schema_registry": "this version does not back up schema registries",
    "backup.continuous": "this version makes snapshots",
    "backup.index_timestamps": "this version does not scan record timestamps",
    "backup.max_bytes_per_second": "this version has no rate limits",
    "restore.time_window_start": "this version restores whole restore points",
    "restore.time_window_end": "this version restores whole restore points",
    "restore.until_offset": "this version restores whole restore points",
    "restore.partition_mapping": "this version keeps partition numbers",
    "restore.repartitioning": "this version keeps partition numbers",
    "restore.include_original_offset_header": "this version adds no headers",
    "restore.rate_limit_records_per_sec": "this version has no rate limits",
    "restore.rate_limit_bytes_per_sec": "this version has no rate limits",
    "restore.auto_consumer_groups": "write positions with reset_consumer_offsets",
    "restore.offset_report": "the report of positions is in the output of --json",
    **dict.fromkeys(_KERBEROS_KEYS, "GSSAPI needs a librdkafka with Kerberos, which confluent-kafka's wheels lack"),
    "restore.acls": "this version backs ACLs up and does not restore them",
    "restore.quotas": "this version does not restore quotas",
}
"""Refused with one sentence for a key or a whole section, unless the value says that the feature is off."""

KEYS_WITHIN: Mapping[str, frozenset[str]] = {
    "offset_storage": frozenset(["backend", "db_path", "s3_key", "sync_interval_secs"]),
    "metrics": frozenset(["enabled", "port", "bind_address", "path", "keep_alive_seconds", "max_partition_labels"]),
    "encryption": frozenset(["recipients", "identity_file"]),
    "retention": frozenset(
        [
            "keep_last",
            "keep_hourly",
            "keep_daily",
            "keep_weekly",
            "keep_monthly",
            "keep_yearly",
            "keep_within",
            "minimum_points",
            "full_every",
            "minimum_age",
            "maximum_age",
            "tiers",
        ]
    ),
}
"""Keys within sections of `NOT_YET`, so that a wrong one is unknown there too. Sections that are not here are open."""

STORAGE_NOT_YET = ("azure", "gcs")
"""Backends of the storage section that are not here yet."""

STORAGE_KEYS: Mapping[str, frozenset[str]] = {
    "filesystem": frozenset(["path", "prefix"]),
    "memory": frozenset(["path", "prefix"]),
    "s3": frozenset(
        [
            "bucket",
            "region",
            "endpoint",
            "access_key",
            "secret_key",
            "session_token",
            "prefix",
            "path_style",
            "allow_http",
        ]
    ),
    "azure": frozenset(
        [
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
        ]
    ),
    "gcs": frozenset(["bucket", "service_account_path", "prefix", "endpoint"]),
}
"""The keys of each backend, beside `backend` itself."""


def is_disabled(dotted: str, value: object) -> bool:
    """Whether the value of a `NOT_YET` key asks for nothing: false, null, empty, a section of which that is true."""
    if dotted == "offset_storage":  # its mere presence makes runs incremental
        return value is None
    if isinstance(value, Mapping):
        return value.get("enabled") is False or all(is_disabled(key, member) for key, member in value.items())
    return value is None or value is False or value in ("", [])
