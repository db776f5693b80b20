"""The connections of the SDK's client: pooled for many threads, without retries, redirects and credentials of `.netrc`.
Reads each body whole, and sends a body from its buffers.

The SDK would send a request again if a body ends early, and would join the buffers of a body.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

import requests
from azure.core.exceptions import ServiceResponseError, ServiceResponseTimeoutError
from azure.core.pipeline import PipelineRequest
from azure.core.pipeline.transport import RequestsTransport
from requests.adapters import HTTPAdapter
from urllib3 import Retry
from urllib3 import exceptions as http

from tasks.store.body_reader import BodyReader

POOL_CONNECTIONS = 64
"""The largest number of connections in the pool: one for each worker of the largest run. Connections are opened when
they are needed."""

LARGEST_BODY_BYTES = 5000 * 1024 * 1024
"""The largest body of one Put Blob. Bodies of responses are read in pieces of this size, so in one."""

_BLOCK_BYTES = 128 * 1024


class Transport(RequestsTransport):  # type: ignore[misc]  # mypy does not find its class
    """Sends requests. Several threads can use it at the same time."""

    def __init__(self) -> None:
        super().__init__(session=_session(), session_owner=False, connection_data_block_size=LARGEST_BODY_BYTES)

    def close(self) -> None:
        self.session.close()

    def send(self, request: Any, *, proxies: Any = None, **kwargs: Any) -> Any:
        """See `RequestsTransport`. The body of a response is read here, so that a broken connection is an error of this
        method. Outside it the SDK would repeat the request."""
        if isinstance(request.data, BodyReader):
            request.data.seek(0)  # because a request is sent a second time if the store asks for another token
        response = super().send(request, proxies=proxies, **kwargs)
        if kwargs.get("stream"):
            inner = response.internal_response
            inner.raw = BytesIO(_read(inner.raw))
        return response


def sends(body: BodyReader, content_md5: str) -> Callable[[PipelineRequest[Any]], None]:
    """A `raw_request_hook` of the SDK that replaces the empty body of an upload before the request is signed."""

    def replace(request: PipelineRequest[Any]) -> None:
        http_request = request.http_request
        http_request.set_streamed_data_body(body)
        http_request.headers["Content-Length"] = str(body.size_bytes)
        http_request.headers["Content-MD5"] = content_md5

    return replace


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, blocksize=_BLOCK_BYTES, **kwargs)


def _session() -> requests.Session:
    session = requests.Session()
    session.headers.clear()
    session.headers["Accept-Encoding"] = "identity"
    session.auth = _unchanged  # otherwise requests would replace the authorization by a password of `.netrc`
    no_retries = Retry(total=False, redirect=False, raise_on_status=False)
    adapter = _Adapter(pool_connections=POOL_CONNECTIONS, pool_maxsize=POOL_CONNECTIONS, max_retries=no_retries)
    for scheme in ("http://", "https://"):
        session.mount(scheme, adapter)
    return session


def _unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _read(raw: Any) -> bytes:
    try:
        data: bytes = raw.read()
    except http.ReadTimeoutError as error:
        raise ServiceResponseTimeoutError(error, error=error) from error
    except http.HTTPError as error:
        raise ServiceResponseError(error, error=error) from error
    finally:
        raw.release_conn()
    return data
