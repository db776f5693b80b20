"""Makes the client of a bucket: credentials, pooled connections, no retries. Keeps secrets out of logs. Imported only
when a store is opened."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import quote, urlsplit

import requests
from google.auth.credentials import Credentials
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import AuthorizedSession, Request
from google.cloud import storage
from requests.adapters import HTTPAdapter

from tasks.model.control_characters import control_character_problem
from tasks.model.errors import ConfigError
from tasks.store.endpoint import check_endpoint
from tasks.store.gcs.credentials import open_credentials
from tasks.store.gcs.sdk_errors import credentials_error
from tasks.store.gcs.settings import DEFAULT_ENDPOINT, GcsSettings

POOL_CONNECTIONS = 64
"""The largest number of connections in the pool: one for each worker of the largest run. Connections are opened when
they are needed."""

CONNECT_TIMEOUT_S = 20.0
"""The longest time to connect. It is also the longest pause while a body is sent."""

READ_TIMEOUT_S = 60.0
"""The longest wait for a response, or for the next bytes of a response."""

_EMULATOR = "STORAGE_EMULATOR_HOST"
"""The variable with the endpoint of an emulator, which Google's libraries read."""


class Client:
    """The clients of one bucket: `bucket` and `sdk` of Google's library for requests about properties, and `session`
    for the bytes of objects. Several threads can use them at the same time."""

    def __init__(self, settings: GcsSettings, credentials: Credentials, endpoint: str) -> None:
        """Sends no request to the store. Raises `ValueError` if the credentials are those of another cloud, and
        Google's exceptions if this cannot be found out."""
        self.endpoint = endpoint
        self._credentials = credentials
        self._lock = threading.Lock()
        self._token_request = Request(requests.Session())
        self.session: Any = AuthorizedSession(credentials, auth_request=self._token_request)  # type: ignore[no-untyped-call]
        self.session.max_redirects = 0  # because the store sends none, so another program does
        for scheme in ("http://", "https://"):
            self.session.mount(scheme, HTTPAdapter(pool_connections=1, pool_maxsize=POOL_CONNECTIONS))
        self.sdk = storage.Client(
            project=settings.project,
            credentials=credentials,
            _http=self.session,
            client_options={"api_endpoint": endpoint},
        )
        self.sdk._bucket_metadata_cache = None  # because it would read the bucket in a thread, for traces
        self.bucket = self.sdk.bucket(settings.bucket, user_project=settings.project)

    @property
    def upload_url(self) -> str:
        """The URL that takes new objects."""
        return f"{self.endpoint}/upload/storage/v1{self.bucket.path}/o"

    def download_url(self, name: str) -> str:
        """The URL of the bytes of an object."""
        return f"{self.endpoint}/download/storage/v1{self.bucket.path}/o/{quote(name, safe='')}"

    def renew_token(self, timeout: tuple[float, float]) -> None:
        """Obtain an access token if there is none, or if it ends soon. Call it before each request: the session would
        obtain one too, but in every thread at the same time. Raises Google's exceptions."""
        if self._credentials.valid:
            return
        with self._lock:
            if not self._credentials.valid:
                self._credentials.refresh(partial(self._token_request, timeout=timeout))  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """Release the connections. May be called twice."""
        self.sdk.close()
        self._token_request.session.close()


def open_client(settings: GcsSettings) -> Client:
    """A client for the settings. Sends no request to the store. Without a key of a service account, Google's library
    looks for credentials here, and can wait for the machine's metadata service.

    Raises `AccessError` if there are no credentials, and `ConfigError` for a key that is not one, for credentials of
    another cloud than Google's public one, for an http endpoint from the environment without `allow_http`, and for a
    control character in a variable `GOOGLE_…`.
    """
    _keep_secrets_out_of_logs()
    _check_environment(os.environ)
    endpoint = _endpoint(settings, os.environ)
    try:
        credentials = open_credentials(settings, is_encrypted=urlsplit(endpoint).scheme == "https")
        return Client(settings, credentials, endpoint)
    except GoogleAuthError as error:
        raise credentials_error(error) from error
    except ValueError:
        raise ConfigError(
            "The credentials are those of another cloud than Google's public one, which is not supported: use others."
        ) from None


def _endpoint(settings: GcsSettings, environment: Mapping[str, str]) -> str:
    if settings.endpoint is not None:
        return settings.endpoint.rstrip("/")
    found = environment.get(_EMULATOR)
    if not found:
        return DEFAULT_ENDPOINT
    try:
        return check_endpoint(found, allow_http=settings.allow_http).rstrip("/")
    except ConfigError as error:
        raise ConfigError(f"The variable {_EMULATOR} cannot be used. {error}.") from None


def _check_environment(environment: Mapping[str, str]) -> None:
    """Raises `ConfigError` if a variable `GOOGLE_…` contains a control character, because an error of Google's library
    would not name the variable."""
    for name, value in environment.items():
        problem = control_character_problem(value) if name.startswith("GOOGLE_") else None
        if problem is not None:
            raise ConfigError(f"The environment variable {name} {problem}: remove it.")


def _keep_secrets_out_of_logs() -> None:
    """Give these loggers at least the level INFO, because at DEBUG they log requests, also those for tokens, and `-v`
    sets DEBUG for all loggers."""
    for name in ("google", "urllib3", "requests"):
        logger = logging.getLogger(name)
        logger.setLevel(max(logger.getEffectiveLevel(), logging.INFO))
