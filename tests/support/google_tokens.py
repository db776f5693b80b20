"""A token endpoint of Google on 127.0.0.1, and the key of a service account that obtains its tokens there. The tokens
are not signed. Tests can change its attributes."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

EMAIL = "kafka-backup@test-project.iam.gserviceaccount.com"


@cache
def private_key() -> str:
    """The private key of the service account, one for all tests."""
    pem = generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem.decode()


class GoogleTokens:
    """Serves from `start` on. `issued` are the tokens that it gave, in order."""

    def __init__(self) -> None:
        self.lifetime_s = 3600
        self.issued: list[str] = []
        self.refusal: tuple[int, Mapping[str, str]] | None = None
        """The status and the JSON of all answers. None: tokens."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def token_url(self) -> str:
        """The URL that issues tokens."""
        return f"http://127.0.0.1:{self._server.server_port}/token"

    @property
    def key(self) -> dict[str, str]:
        """The content of the key file of the service account."""
        return {
            "type": "service_account",
            "project_id": "test-project",
            "private_key_id": "1",
            "private_key": private_key(),
            "client_email": EMAIL,
            "token_uri": self.token_url,
        }

    @property
    def key_text(self) -> str:
        """The key file as Google writes it."""
        return json.dumps(self.key, indent=2)

    def start(self) -> None:
        """Serve until `close`."""
        self._thread.start()

    def close(self) -> None:
        """End it."""
        if self._thread.is_alive():
            self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def answer(self) -> tuple[int, Mapping[str, Any]]:
        """The status and the JSON of the next answer."""
        if self.refusal is not None:
            return self.refusal
        self.issued.append(f"token-{len(self.issued)}")
        return 200, {
            "access_token": self.issued[-1],
            "expires_in": self.lifetime_s,
            "token_type": "Bearer",
            "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        }


def _handler(tokens: GoogleTokens) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            status, document = tokens.answer()
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler
