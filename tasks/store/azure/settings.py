"""Settings of the backend `azure`: a container of Azure Blob Storage."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, Self
from urllib.parse import SplitResult, parse_qs, urlsplit

from pydantic import SecretStr, model_validator

from tasks.model.errors import ConfigError
from tasks.model.setting_fields import ConnectTimeoutMs, OptionalSecret, OptionalText
from tasks.model.waiting import CONNECT_TIMEOUT_MS
from tasks.store.endpoint import check_endpoint
from tasks.store.settings import Prefix, RequiredText, StoreSettings, overlap_problem, without_control_characters

_ACCOUNT = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{1,62}")
_CONTAINER = re.compile(r"[a-z0-9](?:-?[a-z0-9]){2,62}")
_FORM = "AccountName=…;AccountKey=…;EndpointSuffix=…, or BlobEndpoint=…;SharedAccessSignature=…"
_WAYS = ("connection_string", "account_key", "sas_token", "client_secret", "use_workload_identity")
"""The fields that decide how requests are authenticated. At most one of them can be set."""

_IN_CONNECTION_STRING = ("account_name", "endpoint", "client_id", "tenant_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The account of the settings, and its secret if the settings contain one. `key` is its account key, `sas` the
    query of its SAS URL. Without both, requests are authenticated by tokens."""

    name: str
    url: str
    key: SecretStr | None = None
    sas: SecretStr | None = None


class AzureSettings(StoreSettings):
    """The blobs of a container whose names begin with the folder `prefix`; all blobs if `prefix` is empty.

    Requests are authenticated by `account_key`, `sas_token` or `connection_string`, or by tokens for an identity: an
    application with `tenant_id`, `client_id` and `client_secret`; the workload identity of a pod with
    `use_workload_identity`; the managed identity `client_id` of the machine. Without all of them, the identity comes
    from the environment, the pod, the machine or the Azure CLI.

    With `mutable_container`, the blobs that are overwritten or deleted early (heads, leases, pins, restores) are in
    this container of the same account, under `mutable_prefix`: a container with an immutability policy cannot contain
    them. With `mutable_prefix` alone they are in the same container.

    Without `endpoint` the account is in Azure's public cloud. `allow_http` permits an endpoint without TLS.
    `connect_timeout_ms` is the longest time to wait for the store's first answer.
    """

    url_scheme: ClassVar[str] = "az"
    similar_schemes: ClassVar[frozenset[str]] = frozenset({"azure", "abfs", "abfss", "wasb", "wasbs"})
    url_example: ClassVar[str] = "az://account/container/prefix"
    block_type: ClassVar[str | None] = "azure-repository"

    backend: Literal["azure"] = "azure"
    account_name: OptionalText = None
    container_name: RequiredText
    prefix: Prefix = ""
    mutable_container: OptionalText = None
    mutable_prefix: Prefix = ""
    endpoint: OptionalText = None
    account_key: OptionalSecret = None
    sas_token: OptionalSecret = None
    connection_string: OptionalSecret = None
    use_workload_identity: bool = False
    client_id: OptionalText = None
    tenant_id: OptionalText = None
    client_secret: OptionalSecret = None
    allow_http: bool = False
    connect_timeout_ms: ConnectTimeoutMs = CONNECT_TIMEOUT_MS

    _no_control_characters = without_control_characters(
        *("account_name", "container_name", "prefix", "endpoint", "account_key", "sas_token", "connection_string"),
        *("client_id", "tenant_id", "client_secret", "mutable_container", "mutable_prefix"),
    )

    @classmethod
    def from_url(cls, parts: SplitResult) -> Self:
        """The settings for `az://account/container/prefix`. The credentials come from the environment, the machine or
        the Azure CLI. Raises `ConfigError` for any other form."""
        container, _, prefix = parts.path.removeprefix("/").partition("/")
        if (
            *(parts.query, parts.fragment),
            "@" in parts.netloc,
            ":" in parts.netloc,
            not parts.netloc,
            not container,
        ) != ("", "", False, False, False, False):
            raise ConfigError(
                f"An Azure URL is {cls.url_example} and nothing more: credentials come from the environment, the "
                "machine or the Azure CLI."
            )
        return cls(account_name=parts.netloc, container_name=container, prefix=prefix)

    def mutable_settings(self) -> Self | None:
        if self.mutable_container is None and not self.mutable_prefix:
            return None
        place = {"container_name": self.mutable_container or self.container_name, "prefix": self.mutable_prefix}
        return self.model_copy(update={**place, "mutable_container": None, "mutable_prefix": ""})

    @property
    def account(self) -> Account:
        """The account, from the connection string if there is one."""
        if self.connection_string is not None:
            return _parsed(self.connection_string.get_secret_value())
        name = self.account_name or ""
        return Account(name=name, url=self.endpoint or _url(name), key=self.account_key, sas=self.sas_token)

    @property
    def location(self) -> str:
        return f"az://{self.account.name}/{self.container_name}/{self.prefix}".rstrip("/")

    @property
    def root(self) -> str:
        """The beginning of all names of the store in its container: empty, or a folder that ends with a slash."""
        return f"{self.prefix}/" if self.prefix else ""

    @property
    def container_location(self) -> str:
        """The container and its endpoint, for messages about the container itself."""
        account = self.account
        at = f" at {account.url}" if account.url != _url(account.name) else ""
        return f"az://{account.name}/{self.container_name}{at}"

    @property
    def address(self) -> str:
        return self.container_location

    @property
    def first_answer_ms(self) -> int:
        return self.connect_timeout_ms

    @property
    def uses_tokens(self) -> bool:
        """Whether requests are authenticated by tokens and not by a secret of the account."""
        account = self.account
        return account.key is None and account.sas is None

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        self._check_ways()
        self._check_names()
        mutable = self.mutable_settings()
        places = (self.container_name, self.prefix), (mutable.container_name, mutable.prefix) if mutable else ("", "")
        if mutable and (problem := overlap_problem(*places)):
            raise ValueError(problem)
        account = self.account
        try:
            check_endpoint(account.url, allow_http=self.allow_http)
        except ConfigError as error:
            raise ValueError(str(error)) from None
        if account.key is not None and not _is_base64(account.key.get_secret_value()):
            raise ValueError("account_key is not an account key: it is not base64. Look for missing characters")
        if account.sas is not None and "sig" not in parse_qs(account.sas.get_secret_value().lstrip("?")):
            raise ValueError("sas_token is not a SAS token: it should look like sv=…&sp=…&se=…&sig=…")
        if self.uses_tokens and urlsplit(account.url).scheme == "http":
            raise ValueError("tokens of an identity are sent only over https: use https, account_key or sas_token")
        return self

    def _check_ways(self) -> None:
        ways = [name for name in _WAYS if getattr(self, name)]
        if len(ways) > 1:
            raise ValueError(f"{ways[0]} and {ways[1]} exclude each other: set one of them")
        if self.client_secret is not None and (self.client_id is None or self.tenant_id is None):
            raise ValueError("client_secret belongs to client_id and tenant_id: set all three")
        if self.connection_string is not None:
            for name in _IN_CONNECTION_STRING:
                if getattr(self, name) is not None:
                    raise ValueError(f"connection_string and {name} exclude each other: set one of them")
        elif self.account_name is None:
            raise ValueError("account_name is missing: set it, or connection_string")
        if (self.account_key or self.sas_token) and (self.client_id or self.tenant_id):
            raise ValueError(f"{ways[0]} needs no identity: remove client_id and tenant_id, or {ways[0]}")
        if self.tenant_id is not None and self.client_secret is None and not self.use_workload_identity:
            raise ValueError("tenant_id belongs to client_secret or use_workload_identity: set one of them")

    def _check_names(self) -> None:
        if not _ACCOUNT.fullmatch(self.account.name):
            raise ValueError("account_name should contain only letters, digits and hyphens")
        if not _CONTAINER.fullmatch(self.container_name) or len(self.container_name) > 63:
            raise ValueError(
                "container_name should be 3 to 63 lower-case letters, digits and single hyphens, as Azure requires it"
            )


def _parsed(connection_string: str) -> Account:
    """The account of a connection string. Raises `ValueError`, whose message contains nothing of it."""
    members = _members(connection_string)
    key, sas = members.get("ACCOUNTKEY"), members.get("SHAREDACCESSSIGNATURE")
    if (key is None) == (sas is None):
        raise ValueError(f"connection_string should contain either a key or a signature: {_FORM}")
    url = members.get("BLOBENDPOINT", "").rstrip("/")
    name = members.get("ACCOUNTNAME") or _name_in(url)
    scheme = members.get("DEFAULTENDPOINTSPROTOCOL", "https")
    suffix = members.get("ENDPOINTSUFFIX", "core.windows.net")
    return Account(
        name=name,
        url=url or f"{scheme}://{name}.blob.{suffix}",
        key=SecretStr(key) if key is not None else None,
        sas=SecretStr(sas) if sas is not None else None,
    )


def _members(connection_string: str) -> Mapping[str, str]:
    pairs = [part.partition("=") for part in connection_string.strip().strip(";").split(";")]
    if any(not separator for _, separator, _ in pairs):
        raise ValueError(f"connection_string is not one: it should look like {_FORM}")
    return {name.strip().upper(): value.strip() for name, _, value in pairs}


def _name_in(url: str) -> str:
    """The account in the URL of a blob service: the first label of the host, or the path of an emulator."""
    parts = urlsplit(url)
    return parts.path.strip("/") or (parts.hostname or "").partition(".")[0]


def _url(account: str) -> str:
    return f"https://{account}.blob.core.windows.net"


def _is_base64(text: str) -> bool:
    try:
        return bool(b64decode(text, validate=True))
    except ValueError:
        return False
