"""Which endpoints are accepted, and that a refused endpoint with a password is not shown."""

from __future__ import annotations

import pytest

from tasks.model.errors import ConfigError
from tasks.store.endpoint import check_endpoint


@pytest.mark.parametrize("endpoint", ["https://minio.example.com", "https://[::1]:9000", "https://minio:9000/path"])
def test_an_https_url_is_accepted(endpoint: str) -> None:
    assert endpoint == check_endpoint(endpoint, allow_http=False)


@pytest.mark.parametrize(
    "endpoint",
    [
        *("", "minio:9000", "minio.example.com", "ftp://minio"),
        *("https://", "https://minio:x", "https://minio:0", "https://[::1"),
        *("https://key:geheim@minio", "https://minio?geheim", "https://minio#geheim"),
    ],
)
def test_any_other_text_is_refused_and_not_shown(endpoint: str) -> None:
    with pytest.raises(ConfigError, match=r"^The endpoint should be a URL without user and password") as refused:
        check_endpoint(endpoint, allow_http=True)
    assert "geheim" not in str(refused.value)


def test_an_http_url_is_accepted_only_with_allow_http() -> None:
    assert "http://minio:9000" == check_endpoint("http://minio:9000", allow_http=True)
    with pytest.raises(ConfigError, match="use https, or set allow_http: true"):
        check_endpoint("http://minio:9000", allow_http=False)
