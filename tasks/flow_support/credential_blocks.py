"""The credentials of Prefect's own blocks for clouds (`aws-credentials`, `gcp-credentials`,
`azure-blob-storage-credentials`), as the keys of a storage section.

Only the documents of these blocks are read, so the packages that define them need not be installed here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound

from tasks.model.errors import ConfigError

FIELD = "credentials_block"
"""The field of a repository's block that names a block with credentials, as `type/name` or as the name alone."""

_Values = Mapping[str, Any]


def with_credentials(values: Mapping[str, object], repository_type: str) -> dict[str, object]:
    """The values of a repository's block, completed by those of the block that its `credentials_block` names. A value
    of the repository's block is used instead of one of the other block. If the repository's block has a credential,
    none of the other block is used, because members of two credentials do not fit together.

    Raises `ConfigError` if there is no such block, or if its type does not belong to the type of the repository's
    block.
    """
    own = {name: value for name, value in values.items() if name != FIELD}
    reference = values.get(FIELD)
    if reference is None:
        return own
    slug, section_of = _BRIDGES[repository_type]
    found = section_of(_document(str(reference), slug))
    if any(own.get(name) for name in _OWN_CREDENTIALS[repository_type]):
        found = {name: value for name, value in found.items() if name in _NO_CREDENTIALS}
    return {**{name: value for name, value in found.items() if value not in (None, "", {})}, **own}


def _document(reference: str, slug: str) -> _Values:
    kind, _, name = reference.rpartition("/")
    if kind not in ("", slug):
        raise ConfigError(f"The block {reference} has no credentials for this repository: name a block {slug}/….")
    try:
        with get_client(sync_client=True) as client:
            document = client.read_block_document_by_name(name, slug, include_secrets=True)
    except ObjectNotFound:
        raise ConfigError(f"There is no block {slug}/{name}: create it in the UI, or use another name.") from None
    return document.data


def _aws(values: _Values) -> dict[str, object]:
    client = values.get("aws_client_parameters") or {}
    return {
        "access_key": values.get("aws_access_key_id"),
        "secret_key": values.get("aws_secret_access_key"),
        "session_token": values.get("aws_session_token"),
        "profile": values.get("profile_name"),
        "region": values.get("region_name"),
        "endpoint": client.get("endpoint_url"),
        "ca_bundle": client.get("verify_cert_path"),
    }


def _gcp(values: _Values) -> dict[str, object]:
    info = values.get("service_account_info")
    return {
        "service_account_path": values.get("service_account_file"),
        "service_account_json": json.dumps(info) if info else None,
    }


def _azure(values: _Values) -> dict[str, object]:
    secret = values.get("connection_string")
    url = None if secret else values.get("account_url")
    return {
        "connection_string": secret,
        "account_name": (urlsplit(url).hostname or "").partition(".")[0] if url else None,
        "endpoint": url,
        "tenant_id": values.get("tenant_id"),
        "client_id": values.get("client_id"),
        "client_secret": values.get("client_secret"),
    }


_BRIDGES: Mapping[str, tuple[str, Callable[[_Values], dict[str, object]]]] = {
    "s3-repository": ("aws-credentials", _aws),
    "gcs-repository": ("gcp-credentials", _gcp),
    "azure-repository": ("azure-blob-storage-credentials", _azure),
}
"""The type of the block with credentials for each type of a repository's block, and the function that translates it."""

_OWN_CREDENTIALS: Mapping[str, frozenset[str]] = {
    "s3-repository": frozenset({"access_key", "secret_key", "session_token", "profile", "web_identity_token_file"}),
    "gcs-repository": frozenset({"service_account_path", "service_account_json"}),
    "azure-repository": frozenset(
        {"account_key", "sas_token", "connection_string", "client_id", "client_secret", "use_workload_identity"}
    ),
}
"""The fields that are credentials, for each type of a repository's block. `role_arn` is none, because it needs other
credentials, which can be those of the other block."""

_NO_CREDENTIALS = frozenset({"region", "endpoint", "ca_bundle", "account_name"})
"""The keys from a block with credentials that say where the store is."""
