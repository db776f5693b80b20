"""The credential of a client: a secret of the account, or an identity of azure-identity, which renews its tokens.

azure-identity is imported only if the settings use an identity.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

from azure.core.credentials import (
    AccessToken,
    AccessTokenInfo,
    AzureNamedKeyCredential,
    AzureSasCredential,
    TokenRequestOptions,
)
from azure.core.exceptions import AzureError, ServiceRequestError, ServiceResponseError

from tasks.model.errors import AccessError, ConfigError, KafkaBackupError, StoreUnavailableError
from tasks.store.azure.sdk_errors import FAILURES
from tasks.store.azure.settings import AzureSettings

_T = TypeVar("_T")

Credential = Any
"""What the SDK accepts as a credential: a named key, a SAS credential or an object that gets tokens."""


def credential(settings: AzureSettings) -> Credential:
    """The credential of the settings. Sends no request. Raises `ConfigError` if the identity of the environment is
    incomplete."""
    account = settings.account
    if account.key is not None:
        return AzureNamedKeyCredential(account.name, account.key.get_secret_value())
    if account.sas is not None:
        return AzureSasCredential(account.sas.get_secret_value().lstrip("?"))
    try:
        return Identity(_identity(settings), settings)
    except (ValueError, AzureError):
        raise ConfigError(_incomplete(settings)) from None


def _identity(settings: AzureSettings) -> Any:
    """The credential of azure-identity. Its own retries are few, because `RetryingStore` repeats requests."""
    from azure.identity import (
        ClientSecretCredential,
        DefaultAzureCredential,
        ManagedIdentityCredential,
        WorkloadIdentityCredential,
    )

    own_cloud = {"disable_instance_discovery": True} if _is_own_authority() else {}
    options: dict[str, Any] = {"retry_total": 1, "connection_timeout": 10, "read_timeout": 20, **own_cloud}
    if settings.client_secret is not None:
        return ClientSecretCredential(
            settings.tenant_id or "", settings.client_id or "", settings.client_secret.get_secret_value(), **options
        )
    if settings.use_workload_identity:
        return WorkloadIdentityCredential(tenant_id=settings.tenant_id, client_id=settings.client_id, **options)
    if settings.client_id is not None:
        return ManagedIdentityCredential(client_id=settings.client_id)
    return DefaultAzureCredential(
        exclude_shared_token_cache_credential=True,
        exclude_visual_studio_code_credential=True,
        exclude_developer_cli_credential=True,
        exclude_powershell_credential=True,
        exclude_interactive_browser_credential=True,
        exclude_broker_credential=True,
        **own_cloud,
    )


def _is_own_authority() -> bool:
    """Whether the environment names an authority that Microsoft's public directory of authorities does not know. It is
    used without asking that directory, because private clouds cannot reach it."""
    from azure.identity import AzureAuthorityHosts

    host = os.environ.get("AZURE_AUTHORITY_HOST", "").removeprefix("https://").rstrip("/")
    known = {one for name, one in vars(AzureAuthorityHosts).items() if not name.startswith("_")}
    return bool(host) and host not in known


class Identity:
    """Gets tokens for an identity, and translates the exceptions of azure-identity. Several threads can use it at the
    same time. Raises `AccessError` if there is no identity or it is refused, and `StoreUnavailableError` if the place
    that issues tokens cannot be reached."""

    def __init__(self, inner: Any, settings: AzureSettings) -> None:
        self._inner = inner
        self._settings = settings

    def get_token(self, *scopes: str, **kwargs: Any) -> AccessToken:
        """See `azure.core.credentials.TokenCredential`."""
        token: AccessToken = self._translated(lambda: self._inner.get_token(*scopes, **kwargs))
        return token

    def get_token_info(self, *scopes: str, options: TokenRequestOptions | None = None) -> AccessTokenInfo:
        """See `azure.core.credentials.SupportsTokenInfo`."""
        token: AccessTokenInfo = self._translated(lambda: self._inner.get_token_info(*scopes, options=options))
        return token

    def close(self) -> None:
        """Release the connections. May be called twice."""
        self._inner.close()

    def _translated(self, get: Callable[[], _T]) -> _T:
        try:
            return get()
        except Exception as error:  # also those of msal and of the Azure CLI
            raise identity_error(error, self._settings) from error


def identity_error(error: Exception, settings: AzureSettings) -> KafkaBackupError:
    """The error for an exception of azure-identity. Its own text is not in the message, because it is long and can
    contain parts of a request."""
    from azure.identity import CredentialUnavailableError

    where = settings.container_location
    code = _sign_in_code(str(error))
    is_none_left = _is_ambient(settings) and not code  # no identity of the chain has worked
    if isinstance(error, CredentialUnavailableError) or is_none_left:
        return AccessError(f"There are no credentials for {where}: {_cure(settings)}.")
    if FAILURES.cause(error, ServiceRequestError) or FAILURES.cause(error, ServiceResponseError):
        return StoreUnavailableError(f"No token for {where} can be obtained: {FAILURES.reason(error)}")
    return AccessError(
        f"The identity for {where} is refused{f' ({code})' if code else ''}: check client_id, tenant_id and its secret "
        "or federation, also whether they have expired."
    )


def _is_ambient(settings: AzureSettings) -> bool:
    return settings.client_id is None and not settings.use_workload_identity


def _sign_in_code(text: str) -> str:
    """The code of Microsoft Entra in an error text, for example `AADSTS7000222`. Empty if there is none."""
    _, found, rest = text.partition("AADSTS")
    number = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    return f"AADSTS{number}" if found and number else ""


def _incomplete(settings: AzureSettings) -> str:
    if settings.use_workload_identity:
        return (
            "The workload identity is incomplete: set tenant_id and client_id or AZURE_TENANT_ID and "
            "AZURE_CLIENT_ID, and AZURE_FEDERATED_TOKEN_FILE. The webhook of Azure Workload Identity sets all of them."
        )
    return "The identity cannot be used: check tenant_id, client_id, client_secret and AZURE_AUTHORITY_HOST."


def _cure(settings: AzureSettings) -> str:
    if settings.use_workload_identity:
        return "check the workload identity of the pod and AZURE_FEDERATED_TOKEN_FILE"
    if settings.client_id is not None:
        return f"this machine has no managed identity {settings.client_id}"
    return (
        "set account_key, sas_token or client_secret, or AZURE_TENANT_ID, AZURE_CLIENT_ID and "
        "AZURE_CLIENT_SECRET, or give the machine an identity, or sign in with the Azure CLI"
    )
