"""Where a bucket is: what an endpoint may be, and that nothing of a location shows a secret."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from tasks.model.errors import ConfigError
from tasks.store.s3.location import S3Credentials, S3Location, check_endpoint, s3_location


def test_a_location_shows_who_comes_and_not_with_what() -> None:
    own = S3Credentials(access_key="AKIA", secret_key="geheim", session_token="geheim")
    shown = repr(S3Location(bucket="backups", credentials=own))
    assert "AKIA" in shown
    assert "geheim" not in shown


@pytest.mark.parametrize(
    "url", ["s3://", "s3:///prefix", "s3://key:geheim@b", "s3://b:geheim", "s3://b?geheim", "s3://b/#geheim"]
)
def test_a_url_is_a_bucket_and_a_prefix_and_no_more(url: str) -> None:
    with pytest.raises(ConfigError, match=r"^An S3 URL is s3://bucket/prefix and no more") as refused:
        s3_location(urlsplit(url))
    assert "geheim" not in str(refused.value)


@pytest.mark.parametrize("endpoint", ["https://minio.example.com", "https://[::1]:9000", "https://minio:9000/path"])
def test_an_endpoint_is_a_url(endpoint: str) -> None:
    assert endpoint == check_endpoint(endpoint, allow_http=False)


@pytest.mark.parametrize(
    "endpoint",
    [
        *("", "minio:9000", "minio.example.com", "ftp://minio"),
        *("https://", "https://minio:x", "https://minio:0", "https://[::1"),
        *("https://key:geheim@minio", "https://minio?geheim", "https://minio#geheim"),
    ],
)
def test_anything_else_is_no_endpoint_and_is_not_shown(endpoint: str) -> None:
    with pytest.raises(ConfigError, match=r"^The endpoint should be a URL without user and password") as refused:
        check_endpoint(endpoint, allow_http=True)
    assert "geheim" not in str(refused.value)


def test_http_has_to_be_asked_for() -> None:
    assert "http://minio:9000" == check_endpoint("http://minio:9000", allow_http=True)
    with pytest.raises(ConfigError, match="use https, or set allow_http: true"):
        check_endpoint("http://minio:9000", allow_http=False)
