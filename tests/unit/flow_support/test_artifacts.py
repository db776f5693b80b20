"""Artifacts: each request is sent once, and a server that refuses them fails no run."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from tasks.flow_support.artifacts import artifact_key, single_try_client


class _Unavailable(ThreadingHTTPServer):
    """Answers every request with status 503, and counts them."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests = 0


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, _Unavailable)
        self.server.requests += 1
        self.send_error(503)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def unavailable() -> Iterator[_Unavailable]:
    with _Unavailable() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_failed_request_is_not_repeated(unavailable: _Unavailable) -> None:
    address = f"http://127.0.0.1:{unavailable.server_address[1]}/api"
    with temporary_settings({PREFECT_API_URL: address, PREFECT_CLIENT_MAX_RETRIES: 20}):
        with single_try_client() as client, pytest.raises(PrefectHTTPStatusError):
            client.hello()
        assert 20 == PREFECT_CLIENT_MAX_RETRIES.value()

    assert 1 == unavailable.requests


def test_a_key_consists_of_lower_case_letters_digits_and_dashes() -> None:
    assert "backup-orders-eu-1" == artifact_key("backup", "Orders_EU.1")
