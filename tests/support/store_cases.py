"""What the command suite has to know of each store: its server, its credentials, and how its mistakes are reported.

A new store needs a `StoreCase` and a line in `CASES`.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from prefect.blocks.core import Block

from blocks import AzureRepository, GcsRepository, S3Repository
from tasks.store.azure.azure_store import AzureStore
from tasks.store.azure.settings import AzureSettings
from tasks.store.gcs.gcs_store import GcsStore
from tasks.store.gcs.settings import GcsSettings
from tasks.store.protocol import ObjectStore
from tasks.store.registry import StorageSettings
from tasks.store.s3.s3_store import S3Store
from tasks.store.s3.settings import S3Settings
from tests.support.azurite import ACCOUNT, ACCOUNT_KEY
from tests.support.google_tokens import private_key
from tests.support.object_stores import ROOT_CREDENTIALS

Section = Mapping[str, object]

WRONG_AZURE_KEY = "d3JvbmcgbWFya2Vy"
"""Base64 that is not the key. No message shows it."""


@dataclass(frozen=True)
class Wrong:
    """Changes of a section that make its credentials wrong, the reason in the message, and texts that no output
    shows."""

    name: str
    changes: Section
    reason: str
    hidden: tuple[str, ...] = ("marker",)


class StoreCase(ABC):
    """A server of one kind. `block` is the block of its backend, `ca_variable` the variable with trusted authorities,
    `secrets` what no output shows, `secret_keys` the keys whose values are secrets, `credentials` the keys that the
    owner's section has."""

    server_name: ClassVar[str]
    block: ClassVar[type[Block]]
    settings_type: ClassVar[type[StorageSettings]]
    ca_variable: ClassVar[str]
    secrets: ClassVar[tuple[str, ...]]
    secret_keys: ClassVar[tuple[str, ...]]
    credentials: ClassVar[tuple[str, ...]]
    wrong: ClassVar[tuple[Wrong, ...]]
    no_credentials: ClassVar[str]
    """The beginning of the message if there are no credentials at all."""

    no_host: ClassVar[str]
    """What the message says if the endpoint's host does not exist."""

    not_the_protocol: ClassVar[str]
    """What the message says of a website."""

    def __init__(self, server: Any) -> None:
        self._server = server

    def new_bucket(self) -> str:
        """An empty bucket or container that no other test has."""
        return str(self._server.new_bucket())

    def section(self, bucket: str, **changes: object) -> dict[str, object]:
        """The section `storage` as the owner writes it, with the changes. A change to None leaves the key out."""
        endpoint = str(changes.get("endpoint", self._server.endpoint))
        section = {
            "prefix": "team",
            "allow_http": True,
            "endpoint": endpoint,
            **self._keys(bucket, endpoint),
            **changes,
        }
        return {name: value for name, value in section.items() if value is not None}

    @abstractmethod
    def _keys(self, bucket: str, endpoint: str) -> dict[str, object]:
        """The keys of the section that only this store has."""

    @abstractmethod
    def open(self, bucket: str, prefix: str = "", **changes: Any) -> ObjectStore:
        """The store as the owner opens it."""

    @abstractmethod
    def where(self, bucket: str) -> str:
        """The bucket in messages, with its endpoint."""

    def missing(self, bucket: str) -> str:
        """The message for a bucket that does not exist."""
        return f"There is no bucket {self.where(bucket)}: create it, or correct `bucket` and `endpoint`."

    def at(self, endpoint: str) -> str:
        """The value of `endpoint` for a server at this URL."""
        return endpoint

    @property
    def endpoint(self) -> str:
        """The URL of the server."""
        return str(self._server.endpoint)

    def location(self, bucket: str) -> str:
        """The repository under the prefix `team`, in messages."""
        return self.settings_type.model_validate(
            {name: value for name, value in self.section(bucket).items() if name != "backend"}
        ).location

    def anonymous(self, bucket: str) -> dict[str, object]:
        """The section without credentials."""
        return self.section(bucket, **dict.fromkeys(self.credentials))


class S3Case(StoreCase):
    """MinIO."""

    server_name = "minio"
    block = S3Repository
    settings_type = S3Settings
    ca_variable = "AWS_CA_BUNDLE"
    secrets = (ROOT_CREDENTIALS.secret_key,)
    secret_keys = ("access_key", "secret_key", "session_token")
    credentials = ("access_key", "secret_key")
    wrong = (
        Wrong("unknown key", {"access_key": "nobody"}, "the store does not know this access key"),
        Wrong("secret", {"secret_key": "wrong-marker"}, "the secret key does not belong to the access key"),
        Wrong("token", {"session_token": "wrong-marker"}, "the session token does not belong to these credentials"),
    )
    no_credentials = "There are no credentials for S3: set access_key and"
    no_host = "the endpoint's host does not exist"
    not_the_protocol = "does not speak S3. Check `endpoint`."

    def _keys(self, bucket: str, endpoint: str) -> dict[str, object]:
        return {
            "backend": "s3",
            "bucket": bucket,
            "region": self._server.region,
            "path_style": True,
            "access_key": ROOT_CREDENTIALS.access_key,
            "secret_key": ROOT_CREDENTIALS.secret_key,
        }

    def open(self, bucket: str, prefix: str = "", **changes: Any) -> ObjectStore:
        return S3Store(self._server.settings(bucket, prefix, **changes))

    def where(self, bucket: str) -> str:
        return f"s3://{bucket} at {self._server.endpoint}"


class AzureCase(StoreCase):
    """Azurite."""

    server_name = "azurite"
    block = AzureRepository
    settings_type = AzureSettings
    ca_variable = "REQUESTS_CA_BUNDLE"
    secrets = (ACCOUNT_KEY,)
    secret_keys = ("account_key", "sas_token", "connection_string", "client_secret")
    credentials = ("account_key",)
    wrong = (
        Wrong(
            "key",
            {"account_key": WRONG_AZURE_KEY},
            "the account key does not belong to the account",
            (WRONG_AZURE_KEY,),
        ),
        Wrong(
            "signature",
            {"account_key": None, "sas_token": "sv=2021-12-02&sr=c&sp=rwdl&se=2099-01-01T00%3A00Z&sig=marker%3D"},
            "the signature of the SAS token is wrong: check sas_token",
        ),
        Wrong(
            "expired SAS token",
            {"account_key": None, "sas_token": "sv=2021-12-02&sr=c&sp=rwdl&se=2025-01-01T00%3A00Z&sig=marker%3D"},
            "the SAS token has expired, or is not valid yet: make a new one",
        ),
    )
    no_credentials = "There are no credentials for az://"
    no_host = "there is no such host, so there is no such storage account"
    not_the_protocol = "is not Azure Blob Storage. Check `endpoint`."

    @property
    def endpoint(self) -> str:
        return super().endpoint.removesuffix(f"/{ACCOUNT}")

    def new_bucket(self) -> str:
        return str(self._server.new_container())

    def _keys(self, bucket: str, endpoint: str) -> dict[str, object]:
        return {
            "backend": "azure",
            "account_name": ACCOUNT,
            "container_name": bucket,
            "account_key": ACCOUNT_KEY,
        }

    def open(self, bucket: str, prefix: str = "", **changes: Any) -> ObjectStore:
        return AzureStore(self._server.settings(bucket, prefix, **changes))

    def where(self, bucket: str) -> str:
        return f"az://{ACCOUNT}/{bucket} at {self._server.endpoint}"

    def missing(self, bucket: str) -> str:
        return (
            f"There is no container {self.where(bucket)}: create it, or correct `container_name`, `account_name` and "
            "`endpoint`."
        )

    def at(self, endpoint: str) -> str:
        return f"{endpoint}/{ACCOUNT}"


class GcsCase(StoreCase):
    """fake-gcs-server. It checks no credentials, so `test_gcs_command.py` has wrong ones."""

    server_name = "fake_gcs"
    block = GcsRepository
    settings_type = GcsSettings
    ca_variable = "REQUESTS_CA_BUNDLE"
    secrets = (private_key().splitlines()[1],)
    secret_keys = ("service_account_json",)
    credentials = ("service_account_json",)
    wrong = ()
    no_credentials = "There are no credentials for Google Cloud Storage: set service_account_path"
    no_host = "the endpoint's host does not exist"
    not_the_protocol = "does not speak Google Cloud Storage. Check `endpoint`."

    def _keys(self, bucket: str, endpoint: str) -> dict[str, object]:
        key = json.dumps(self._server.tokens.key) if endpoint.startswith("https:") else None
        return {"backend": "gcs", "bucket": bucket, "service_account_json": key}

    def open(self, bucket: str, prefix: str = "", **changes: Any) -> ObjectStore:
        return GcsStore(self._server.settings(bucket, prefix, **changes))

    def where(self, bucket: str) -> str:
        return f"gs://{bucket} at {self._server.endpoint}"


CASES: Mapping[str, type[StoreCase]] = {"s3": S3Case, "azure": AzureCase, "gcs": GcsCase}
