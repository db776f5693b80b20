"""A machine's metadata service on 127.0.0.1, from which the AWS SDKs take the credentials of the machine's role."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from tests.support.s3_credentials import S3Credentials

_ROLE_PATH = "/latest/meta-data/iam/security-credentials/"


class InstanceRole:
    """Serves one role's credentials between `with` and its end."""

    def __init__(self, credentials: S3Credentials) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(credentials))

    @property
    def environment(self) -> dict[str, str]:
        """What makes the SDKs ask here."""
        return {
            "AWS_EC2_METADATA_DISABLED": "false",
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://127.0.0.1:{self._server.server_port}/",
        }

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(credentials: S3Credentials) -> type[BaseHTTPRequestHandler]:
    document = {
        "Code": "Success",
        "Type": "AWS-HMAC",
        "AccessKeyId": credentials.access_key,
        "SecretAccessKey": credentials.secret_key,
        "Token": credentials.session_token,
        "LastUpdated": "2026-01-01T00:00:00Z",
        "Expiration": "2099-01-01T00:00:00Z",
    }
    answers = {"/latest/api/token": "token", _ROLE_PATH: "backup", f"{_ROLE_PATH}backup": json.dumps(document)}

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            text = answers.get(self.path)
            self.send_response(404 if text is None else 200)
            data = (text or "").encode()
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    return Handler
