"""Obtains the credentials of a store: the key of a service account, the application default credentials, or none for an
endpoint without TLS. Google's library renews them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import google.auth
from google.auth.credentials import AnonymousCredentials, Credentials, with_scopes_if_required
from google.oauth2 import service_account

from tasks.model.errors import AccessError, ConfigError
from tasks.store.gcs.settings import GcsSettings

SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
"""What an access token permits: objects, but neither buckets nor access rights."""

_SERVICE_ACCOUNT = "service_account"


def open_credentials(settings: GcsSettings, *, is_encrypted: bool) -> Credentials:
    """The credentials for the settings. Without a key of a service account, the application default credentials are
    looked for, which can need requests to the machine's metadata service. If `is_encrypted` is False, there are none,
    because everybody on the way could read the token.

    Raises `ConfigError` if the key is not one, `AccessError` if its file cannot be read, and Google's exceptions if
    there are no application default credentials.
    """
    if not is_encrypted:
        return AnonymousCredentials()  # type: ignore[no-untyped-call]
    name, text = _key_of(settings)
    if text is None:
        # The scope is added later: with it, the library would look up the project of a workload identity elsewhere.
        found, _ = google.auth.default()
        return with_scopes_if_required(found, [SCOPE])  # type: ignore[no-any-return,no-untyped-call]
    try:
        return service_account.Credentials.from_service_account_info(  # type: ignore[no-any-return,no-untyped-call]
            _parsed(name, text), scopes=[SCOPE]
        )
    except ValueError:  # Google's library raises it for a missing member and for a damaged private key
        raise ConfigError(f"{name} is not a complete key of a service account: download the key again.") from None


def _key_of(settings: GcsSettings) -> tuple[str, str | None]:
    """(name for messages, text of the key). The text is None if the settings have no key."""
    if settings.service_account_json is not None:
        return "service_account_json", settings.service_account_json.get_secret_value()
    path = settings.service_account_path
    if path is None:
        return "", None
    try:
        return path, Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"There is no file {path}: correct service_account_path.") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not the key of a service account: it is not JSON.") from None
    except OSError as error:
        raise AccessError(f"Cannot read {path}: {error.strerror}. Grant access to this file.") from None


def _parsed(name: str, text: str) -> Any:
    try:
        key = json.loads(text)
    except ValueError:
        raise ConfigError(f"{name} is not the key of a service account: it is not JSON.") from None
    kind = key.get("type") if isinstance(key, dict) else None
    if kind != _SERVICE_ACCOUNT:
        raise ConfigError(
            f"{name} is not the key of a service account. Files of other credentials belong into the variable "
            "GOOGLE_APPLICATION_CREDENTIALS."
        )
    return key
