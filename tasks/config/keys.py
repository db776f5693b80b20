"""Tables of known keys that are not in a model: keys without a meaning in this program, and keys of features that this
version does not have.

A key that is not in a table and not in a model is unknown. The keys of `storage` are in the settings of the backends
(`tasks/store/registry.py`).
"""

from __future__ import annotations

from collections.abc import Mapping

NOTED: Mapping[str, str] = {
    "source.connection": "the only setting of connections is connect_timeout_ms",
    "target.connection": "the only setting of connections is connect_timeout_ms",
    "backup.include_offset_headers": "stored batches keep their offsets; nothing is added to records",
    "backup.sync_interval_secs": "every object is durable before the next step",
    "backup.poll_interval_ms": "a backup does not poll; it ends at its planned offsets",
    **dict.fromkeys(
        [f"offset_storage.{key}" for key in ("backend", "db_path", "s3_key", "sync_interval_secs")],
        "the stored offsets are those of the newest restore point",
    ),
    "restore.produce_batch_size": "stored batches are sent as they are",
    "restore.checkpoint_state": "a restore keeps its state in the repository",
    "restore.checkpoint_interval_secs": "a restore keeps its state in the repository",
}
"""Keys that are accepted and have no effect, with the reason for the note. The name of a section stands for all of its
keys, except those that a model has."""

_KERBEROS_KEYS = tuple(
    f"{cluster}.security.{key}"
    for cluster in ("source", "target")
    for key in ("sasl_kerberos_service_name", "sasl_keytab_path", "sasl_krb5_config_path")
)

NOT_YET: Mapping[str, str] = {
    "metrics": "this version serves no metrics",
    "encryption": "this version does not encrypt",
    "retention.full_every": "it is a key of 'backup': write backup.full_every",
    "schema_registry": "this version does not back up schema registries",
    "restore.repartitioning": "this version keeps partition numbers",
    "restore.include_original_offset_header": "this version adds no headers",
    "restore.auto_consumer_groups": "write positions with reset_consumer_offsets",
    "restore.offset_report": "the output of --json contains the report of positions",
    **dict.fromkeys(_KERBEROS_KEYS, "this version has no Kerberos client, so it cannot use GSSAPI"),
}
"""Keys and sections that are refused with this sentence, unless the value disables the feature (`is_disabled`)."""

KEYS_WITHIN: Mapping[str, frozenset[str]] = {
    "metrics": frozenset(["enabled", "port", "bind_address", "path", "keep_alive_seconds", "max_partition_labels"]),
    "encryption": frozenset(["recipients", "identity_file"]),
}
"""The keys of sections in `NOT_YET`, so that a misspelled key in them is also reported. In other sections of `NOT_YET`
any key is accepted."""


def is_disabled(dotted: str, value: object) -> bool:
    """Whether the value of a key in `NOT_YET` disables the feature: false, null, empty, a section with `enabled:
    false`, or a section of such values."""
    if isinstance(value, Mapping):
        return value.get("enabled") is False or all(is_disabled(key, member) for key, member in value.items())
    return value is None or value is False or value in ("", [])
