"""Azurite, Microsoft's emulator of Azure Blob Storage, on 127.0.0.1, with and without TLS."""

from __future__ import annotations

import os
import shutil
import ssl
import uuid
from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from azure.storage.blob import BlobServiceClient, ContainerClient, generate_container_sas

from tasks.store.azure.client import API_VERSION
from tasks.store.azure.settings import AzureSettings
from tests.support.certificates import Authority
from tests.support.store_programs import fetch_azurite
from tests.support.store_server import StoreServer

ACCOUNT = "testaccount"
ACCOUNT_KEY = b64encode(b"the key of the account for the tests").decode()


class Azurite(StoreServer):
    """Azurite with its data in memory. With an authority it speaks TLS only, and it also accepts the tokens of
    identities, of which it checks everything but the signature."""

    def __init__(self, folder: Path | None = None, *, authority: Authority | None = None) -> None:
        super().__init__(folder)
        self._authority = authority
        if authority is not None:
            leaf = authority.issue("azurite")
            shutil.copy(leaf.certificate, self.folder / "server.pem")
            shutil.copy(leaf.key, self.folder / "server.key")

    @property
    def endpoint(self) -> str:
        """The URL of the account."""
        return f"{'https' if self._authority else 'http'}://127.0.0.1:{self.port}/{ACCOUNT}"

    @property
    def trusted(self) -> Path:
        """The certificate of its authority."""
        assert self._authority is not None
        return self._authority.ca

    def settings(self, container: str, prefix: str = "", **changes: Any) -> AzureSettings:
        """The container as the owner of the account reaches it, except for the changes. None leaves a key out."""
        section = {
            "account_name": ACCOUNT,
            "container_name": container,
            "prefix": prefix,
            "endpoint": self.endpoint,
            "account_key": ACCOUNT_KEY,
            "allow_http": True,
            **changes,
        }
        return AzureSettings.model_validate({name: value for name, value in section.items() if value is not None})

    @cached_property
    def client(self) -> BlobServiceClient:
        """The SDK's own client for the owner, to prepare and to look behind the store's back."""
        return BlobServiceClient(
            self.endpoint,
            credential={"account_name": ACCOUNT, "account_key": ACCOUNT_KEY},
            api_version=API_VERSION,
            connection_verify=str(self._authority.ca) if self._authority else True,
        )

    def new_container(self) -> str:
        """An empty container that no other test has."""
        name = f"container-{uuid.uuid4().hex[:12]}"
        self.client.create_container(name)
        return name

    def container(self, name: str) -> ContainerClient:
        """The SDK's own client of a container."""
        return self.client.get_container_client(name)

    def sas(self, container: str, permission: str, *, ends_in: timedelta = timedelta(hours=1)) -> str:
        """A SAS token for the container with these permissions, such as `rl`."""
        return str(
            generate_container_sas(
                ACCOUNT,
                container,
                account_key=ACCOUNT_KEY,
                permission=permission,
                start=datetime.now(UTC) - timedelta(hours=2),
                expiry=datetime.now(UTC) + ends_in,
            )
        )

    def _command(self) -> Sequence[str]:
        address = ["--blobHost", "127.0.0.1", "--blobPort", str(self.port)]
        data = ["--inMemoryPersistence", "--silent", "--disableTelemetry"]
        tls = ["--cert", str(self.folder / "server.pem"), "--key", str(self.folder / "server.key"), "--oauth", "basic"]
        return ["node", str(fetch_azurite()), *address, *data, *(tls if self._authority else [])]

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "AZURITE_ACCOUNTS": f"{ACCOUNT}:{ACCOUNT_KEY}"}

    def _tls(self) -> ssl.SSLContext | None:
        return ssl.create_default_context(cafile=str(self._authority.ca)) if self._authority else None
