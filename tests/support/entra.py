"""A double of Microsoft Entra on 127.0.0.1 over TLS: it gives tokens to applications with a secret, and to pods with a
federated token. Azurite accepts its tokens, because it does not check signatures."""

from __future__ import annotations

import base64
import json
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs

from tests.support.certificates import Authority

TENANT = "aaaaaaaa-0000-0000-0000-000000000001"
CLIENT = "bbbbbbbb-0000-0000-0000-000000000002"
SECRET = "entra-secret-marker"
FEDERATED_TOKEN = "federated-token-marker"
EXPIRED_SECRET = "AADSTS7000222: The provided client secret keys are expired."


class Entra:
    """Serves until the end of the `with`. `issued` counts its tokens. `lifetime_s` is that of the next tokens."""

    def __init__(self, authority: Authority) -> None:
        self.issued = 0
        self.lifetime_s = 3600
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        leaf = authority.issue("entra")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(leaf.certificate, leaf.key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    @property
    def url(self) -> str:
        """The value of AZURE_AUTHORITY_HOST."""
        return f"https://127.0.0.1:{self._server.server_port}"

    def token(self) -> str:
        """A token for Azure Blob Storage, without a signature that anybody could check."""
        self.issued += 1
        now = int(time.time())
        claims = {
            "aud": "https://storage.azure.com",
            "iss": f"https://sts.windows.net/{TENANT}/",
            "iat": now - 60,
            "nbf": now - 60,
            "exp": now + self.lifetime_s,
            "jti": self.issued,
        }
        return f"{_part({'alg': 'RS256', 'typ': 'JWT'})}.{_part(claims)}.{_part({})}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(entra: Entra) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """The OpenID configuration of a tenant."""
            own = f"{entra.url}/{TENANT}"
            self._answer(
                200,
                {
                    "issuer": f"{own}/v2.0",
                    "token_endpoint": f"{own}/oauth2/v2.0/token",
                    "authorization_endpoint": f"{own}/oauth2/v2.0/authorize",
                },
            )

        def do_POST(self) -> None:
            """The token endpoint."""
            length = int(self.headers["Content-Length"])
            form = {name: one for name, [one] in parse_qs(self.rfile.read(length).decode()).items()}
            is_known = form.get("client_id") == CLIENT
            if is_known and (form.get("client_secret") == SECRET or form.get("client_assertion") == FEDERATED_TOKEN):
                self._answer(
                    200, {"token_type": "Bearer", "expires_in": entra.lifetime_s, "access_token": entra.token()}
                )
            else:
                self._answer(401, {"error": "invalid_client", "error_description": EXPIRED_SECRET})

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

        def _answer(self, status: int, document: dict[str, object]) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler


def _part(document: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()
