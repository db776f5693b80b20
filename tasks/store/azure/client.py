"""Makes the SDK's client of a container: credential, connections, no retries. Keeps secrets out of logs. Imported only
when a store is opened."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping

from azure.storage.blob import ContainerClient

from tasks.model.control_characters import control_character_problem
from tasks.model.errors import ConfigError
from tasks.store.azure.credentials import credential
from tasks.store.azure.settings import AzureSettings
from tasks.store.azure.transport import LARGEST_BODY_BYTES, Transport

CONNECT_TIMEOUT_S = 20.0
"""The longest time to connect. It is also the longest pause while a body is sent."""

READ_TIMEOUT_S = 60.0
"""The longest wait for a response, or for the next bytes of a response."""

API_VERSION = "2021-12-02"
"""The version of Azure's protocol. Sovereign clouds and emulators do not know the newest one."""


def open_client(settings: AzureSettings) -> ContainerClient:
    """A client for the settings. Sends no request. Several threads can use it at the same time.

    Raises `ConfigError` for an incomplete identity, and for a control character in a variable `AZURE_…`.
    """
    _keep_secrets_out_of_logs()
    _check_environment(os.environ)
    return ContainerClient(
        settings.account.url,
        settings.container_name,
        credential=credential(settings),
        transport=Transport(),
        api_version=API_VERSION,
        retry_total=0,  # because `RetryingStore` repeats requests
        permit_redirects=False,
        max_single_put_size=LARGEST_BODY_BYTES,
        max_single_get_size=LARGEST_BODY_BYTES,
        max_chunk_get_size=LARGEST_BODY_BYTES,
        connection_data_block_size=LARGEST_BODY_BYTES,
    )


def _check_environment(environment: Mapping[str, str]) -> None:
    """Raises `ConfigError` if a variable `AZURE_…` contains a control character. Without this check, a line break in a
    secret would be an error of the sign-in that does not name the variable."""
    for name, value in environment.items():
        problem = control_character_problem(value) if name.startswith("AZURE_") else None
        if problem is not None:
            raise ConfigError(f"The environment variable {name} {problem}: remove it.")


def _keep_secrets_out_of_logs() -> None:
    """Give these loggers at least the level ERROR. The SDK logs the URL of each request at INFO, urllib3 at DEBUG, and
    the URL contains the SAS token; `-v` sets DEBUG for all loggers. Warnings repeat the errors of identities, which are
    raised as well."""
    for name in ("azure", "msal", "urllib3"):
        logger = logging.getLogger(name)
        logger.setLevel(max(logger.getEffectiveLevel(), logging.ERROR))
