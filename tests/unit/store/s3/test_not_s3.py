"""An endpoint behind which another program answers: none of its responses counts as a response of S3."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from pydantic import SecretStr

from tasks.model.errors import ConfigError, OutcomeUnknownError, StoreError, StoreUnavailableError, UnsupportedError
from tasks.store.s3.s3_store import S3Store
from tasks.store.s3.settings import S3Settings

ITEM = (
    "<Contents><Key>team/{}</Key><Size>1</Size><ETag>e</ETag>"
    "<LastModified>2026-11-23T02:00:00Z</LastModified></Contents>"
)


class OtherProgram(ThreadingHTTPServer):
    """Answers every request with status 200 and the next of `bodies`; the last one again and again."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies = ["<html/>"]

    def store(self) -> S3Store:
        endpoint = f"http://127.0.0.1:{self.server_port}"
        return S3Store(
            S3Settings(
                bucket="backups",
                prefix="team",
                region="us-east-1",
                endpoint=endpoint,
                path_style=True,
                allow_http=True,
                access_key="key",
                secret_key=SecretStr("secret"),
            )
        )

    def lists(self, *pages: str) -> None:
        """Answer with these pages of a listing."""
        self.bodies = [f"<ListBucketResult>{page}</ListBucketResult>" for page in pages]


class _Handler(BaseHTTPRequestHandler):
    server: OtherProgram
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
        """Logs nothing."""


@pytest.fixture
def other_program() -> Iterator[OtherProgram]:
    with OtherProgram() as server:
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
def test_a_web_server_is_a_wrong_endpoint(other_program: OtherProgram, use: str) -> None:
    with pytest.raises(ConfigError, match=r"does not speak S3\. Check `endpoint`"):
        {**READS, **WRITES}[use](other_program.store())


@pytest.mark.parametrize("use", [*READS, *WRITES])
def test_a_web_page_after_responses_of_s3_is_a_temporary_failure_and_not_an_empty_listing(
    other_program: OtherProgram, use: str
) -> None:
    store = other_program.store()
    other_program.lists("<IsTruncated>false</IsTruncated>")
    assert [] == list(store.list(""))
    other_program.bodies = ["<html/>"]

    expected = OutcomeUnknownError if use in WRITES else StoreUnavailableError
    with pytest.raises(StoreError, match="the response cannot be read") as raised:
        {**READS, **WRITES}[use](store)
    assert expected is type(raised.value)


def test_a_page_without_a_continuation_token_is_not_the_end_of_the_listing(other_program: OtherProgram) -> None:
    other_program.lists(f"<IsTruncated>true</IsTruncated>{ITEM.format('a')}")
    with pytest.raises(ConfigError, match="does not speak S3"):
        list(other_program.store().list(""))


def test_a_listing_without_order_is_refused_because_a_continued_listing_would_miss_objects(
    other_program: OtherProgram,
) -> None:
    more = "<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>"
    other_program.lists(more + ITEM.format("b"), "<IsTruncated>false</IsTruncated>" + ITEM.format("a"))
    listing = other_program.store().list("")
    assert "b" == next(listing).key
    with pytest.raises(UnsupportedError, match=r"^s3://backups/team does not list its objects in order"):
        next(listing)


def test_names_that_are_not_keys_are_skipped_anywhere_in_a_listing(other_program: OtherProgram) -> None:
    names = ["b", ".hidden", "folder/", "c d", "ä", "c"]
    other_program.lists("<IsTruncated>false</IsTruncated>" + "".join(map(ITEM.format, names)))
    assert ["b", "c"] == [info.key for info in other_program.store().list("")]
