"""An OAuth token endpoint on 127.0.0.1: it answers the client credentials grant with signed JWTs, and publishes its
keys.

Brokers verify tokens with the keys at `jwks_url`, clients obtain tokens from `token_url`. MinIO finds the keys through
`discovery_url`. Tests can change its attributes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, unquote_plus

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

AUDIENCE, ISSUER = "kafka", "test-issuer"


class TokenIssuer:
    """Serves until the end of the `with`. `clients` are the secrets by client id. The client id is the token's
    subject."""

    def __init__(self, clients: dict[str, str]) -> None:
        self.clients = clients
        self.lifetime_s = 3600
        self.issued: list[str] = []
        self.scopes: list[str] = []
        self.failures: list[int] = []
        """HTTP statuses of the next requests, in order."""
        self._key = generate_private_key(65537, 2048)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def token_url(self) -> str:
        """The URL that issues tokens."""
        return f"http://127.0.0.1:{self._server.server_port}/token"

    @property
    def jwks_url(self) -> str:
        """The URL of the public key."""
        return f"http://127.0.0.1:{self._server.server_port}/jwks"

    @property
    def discovery_url(self) -> str:
        """The URL of the OpenID configuration."""
        return f"http://127.0.0.1:{self._server.server_port}/.well-known/openid-configuration"

    @property
    def discovery(self) -> dict[str, object]:
        """The OpenID configuration."""
        return {"issuer": ISSUER, "token_endpoint": self.token_url, "jwks_uri": self.jwks_url}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def token(self, subject: str, *, lifetime_s: int | None = None, key: RSAPrivateKey | None = None) -> str:
        """A signed token. With another key it is a token that brokers reject."""
        now = int(time.time())
        expires = now + 1 + (lifetime_s or self.lifetime_s)  # one second more, because claims are whole seconds
        claims = {"sub": subject, "iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": expires}
        signed = f"{_part({'alg': 'RS256', 'kid': self._kid, 'typ': 'JWT'})}.{_part(claims)}"
        signature = (key or self._key).sign(signed.encode(), PKCS1v15(), hashes.SHA256())
        return f"{signed}.{_base64url(signature)}"

    def answer(self, authorization: str, form: dict[str, list[str]]) -> tuple[int, dict[str, object]]:
        """(status, document) of the answer to one token request."""
        if self.failures:
            return self.failures.pop(0), {"error": "temporarily_unavailable"}
        if form.get("grant_type") != ["client_credentials"]:
            return 400, {"error": "unsupported_grant_type"}
        pair = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
        client_id, secret = unquote_plus(pair[0]), unquote_plus(pair[2])
        if self.clients.get(client_id) != secret:
            return 401, {"error": "invalid_client"}
        self.scopes += form.get("scope", [])
        self.issued.append(self.token(client_id))
        return 200, {"access_token": self.issued[-1], "token_type": "Bearer", "expires_in": self.lifetime_s}

    @property
    def jwks(self) -> dict[str, object]:
        """The public key as a JSON Web Key Set."""
        numbers = self._key.public_key().public_numbers()
        public = {"n": _number(numbers.n), "e": _number(numbers.e)}
        return {"keys": [{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": self._kid, **public}]}

    @property
    def _kid(self) -> str:
        return hashlib.sha256(str(self._key.public_key().public_numbers().n).encode()).hexdigest()[:12]


def _handler(issuer: TokenIssuer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send(200, issuer.jwks if self.path == "/jwks" else issuer.discovery)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
            self._send(*issuer.answer(self.headers.get("Authorization", ""), parse_qs(body)))

        def _send(self, status: int, document: dict[str, object]) -> None:
            data = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    return Handler


def _part(document: dict[str, object]) -> str:
    return _base64url(json.dumps(document).encode())


def _number(value: int) -> str:
    return _base64url(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
