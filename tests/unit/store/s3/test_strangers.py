"""What answers where S3 should, and is something else: nothing it says counts as an answer of S3."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tasks.model.errors import ConfigError, OutcomeUnknownError, StoreError, StoreUnavailableError, UnsupportedError
from tasks.store.s3.location import S3Credentials, S3Location
from tasks.store.s3.s3_store import S3Store

ITEM = (
    "<Contents><Key>team/{}</Key><Size>1</Size><ETag>e</ETag>"
    "<LastModified>2026-11-23T02:00:00Z</LastModified></Contents>"
)


class Stranger(ThreadingHTTPServer):
    """Says `bodies` one after the other, the last one for ever, with status 200."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies = ["<html/>"]

    def store(self) -> S3Store:
        endpoint = f"http://127.0.0.1:{self.server_port}"
        own = S3Credentials(access_key="key", secret_key="secret")
        return S3Store(
            S3Location(
                bucket="backups",
                prefix="team",
                region="us-east-1",
                endpoint=endpoint,
                path_style=True,
                allow_http=True,
                credentials=own,
            )
        )

    def lists(self, *pages: str) -> None:
        """Say these as pages of a listing."""
        self.bodies = [f"<ListBucketResult>{page}</ListBucketResult>" for page in pages]


class _Handler(BaseHTTPRequestHandler):
    server: Stranger
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = (self.server.bodies.pop(0) if len(self.server.bodies) > 1 else self.server.bodies[0]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else body)

    do_GET = do_HEAD = do_PUT = _answer

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def stranger() -> Iterator[Stranger]:
    with Stranger() as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


READS: dict[str, Callable[[S3Store], object]] = {
    "get": lambda store: store.get("a"),
    "head": lambda store: store.head("a"),
    "list": lambda store: list(store.list("")),
}
WRITES: dict[str, Callable[[S3Store], object]] = {
    "put_if_absent": lambda store: store.put_if_absent("a", [b"x"], sha256="00" * 32),
    "put": lambda store: store.put("a", [b"x"]),
    "compare_and_swap": lambda store: store.compare_and_swap("a", [b"x"], expected=None),
}


@pytest.mark.parametrize("use", [*READS, *WRITES])
def test_a_page_for_every_address_is_a_wrong_endpoint(stranger: Stranger, use: str) -> None:
    with pytest.raises(ConfigError, match="is no S3 store: correct the endpoint"):
        {**READS, **WRITES}[use](stranger.store())


@pytest.mark.parametrize("use", [*READS, *WRITES])
def test_a_page_in_the_midst_of_a_run_is_no_answer_and_least_of_all_an_empty_listing(
    stranger: Stranger, use: str
) -> None:
    store = stranger.store()
    stranger.lists("<IsTruncated>false</IsTruncated>")
    assert [] == list(store.list(""))
    stranger.bodies = ["<html/>"]

    expected = OutcomeUnknownError if use in WRITES else StoreUnavailableError
    with pytest.raises(StoreError, match="the answer cannot be read") as raised:
        {**READS, **WRITES}[use](store)
    assert expected is type(raised.value)


def test_a_listing_without_its_continuation_does_not_end_there(stranger: Stranger) -> None:
    stranger.lists(f"<IsTruncated>true</IsTruncated>{ITEM.format('a')}")
    with pytest.raises(ConfigError, match="is no S3 store"):
        list(stranger.store().list(""))


def test_a_listing_without_order_is_refused_because_its_continuation_would_miss_objects(stranger: Stranger) -> None:
    more = "<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>"
    stranger.lists(more + ITEM.format("b"), "<IsTruncated>false</IsTruncated>" + ITEM.format("a"))
    listing = stranger.store().list("")
    assert "b" == next(listing).key
    with pytest.raises(UnsupportedError, match=r"^s3://backups/team does not list its objects in order"):
        next(listing)


def test_names_that_are_no_keys_are_passed_over_wherever_they_stand(stranger: Stranger) -> None:
    names = ["b", ".hidden", "folder/", "c d", "ä", "c"]
    stranger.lists("<IsTruncated>false</IsTruncated>" + "".join(map(ITEM.format, names)))
    assert ["b", "c"] == [info.key for info in stranger.store().list("")]
