"""fake-gcs-server, an emulator of Google Cloud Storage, on 127.0.0.1, with and without TLS."""

from __future__ import annotations

import json
import shutil
import ssl
import urllib.request
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pydantic import SecretStr

from tasks.store.gcs.settings import GcsSettings
from tests.support.certificates import Authority
from tests.support.google_tokens import GoogleTokens
from tests.support.store_programs import fetch_fake_gcs
from tests.support.store_server import StoreServer


class FakeGcs(StoreServer):
    """fake-gcs-server with its data in memory. With an authority it speaks TLS only, and clients show it
    tokens of `tokens`, all of which it accepts."""

    ready_path = "_internal/healthcheck"

    def __init__(self, folder: Path | None = None, *, authority: Authority | None = None) -> None:
        super().__init__(folder)
        self._authority = authority
        self.tokens = GoogleTokens()
        if authority is not None:
            leaf = authority.issue("fake-gcs")
            shutil.copy(leaf.certificate, self.folder / "server.pem")
            shutil.copy(leaf.key, self.folder / "server.key")

    @property
    def endpoint(self) -> str:
        """The URL for clients."""
        return f"{'https' if self._authority else 'http'}://127.0.0.1:{self.port}"

    def settings(self, bucket: str, prefix: str = "", **changes: Any) -> GcsSettings:
        """The bucket, except for the changes."""
        key = {"service_account_json": SecretStr(self.tokens.key_text)} if self._authority else {}
        section = {"bucket": bucket, "prefix": prefix, "endpoint": self.endpoint, "allow_http": True}
        return GcsSettings.model_validate({**section, **key, **changes})

    def start(self) -> None:
        """Also starts the token endpoint. Not to be started twice."""
        super().start()
        self.tokens.start()

    def close(self) -> None:
        """Kill it and end the token endpoint. May be called again."""
        super().close()
        self.tokens.close()

    def new_bucket(self, *, has_versions: bool = False) -> str:
        """An empty bucket that no other test has. With `has_versions` older generations can be read."""
        name = f"bucket-{uuid.uuid4().hex[:12]}"
        document = {"name": name, "versioning": {"enabled": has_versions}}
        self.send("POST", "storage/v1/b?project=test", json.dumps(document).encode())
        return name

    def names(self, bucket: str) -> list[str]:
        """The names of all objects of the bucket, at most 1,000."""
        listing = json.loads(self.send("GET", f"storage/v1/b/{bucket}/o"))
        return [item["name"] for item in listing.get("items", ())]

    def read(self, bucket: str, name: str, *, generation: str = "") -> bytes:
        """The bytes of an object, or of an older generation of it."""
        older = f"&generation={generation}" if generation else ""
        return self.send("GET", f"storage/v1/b/{bucket}/o/{quote(name, safe='')}?alt=media{older}")

    def delete(self, bucket: str, name: str) -> None:
        """Delete the object behind the store's back."""
        self.send("DELETE", f"storage/v1/b/{bucket}/o/{quote(name, safe='')}")

    def send(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """The body of the answer to a request. Raises `urllib.error.HTTPError` for an error."""
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.endpoint}/{path}", body, headers, method=method)
        with urllib.request.urlopen(request, context=self._tls()) as answer:
            return bytes(answer.read())

    def _command(self) -> Sequence[str]:
        address = ["-host", "127.0.0.1", "-port", str(self.port), "-public-host", f"127.0.0.1:{self.port}"]
        scheme = ["-scheme", "https" if self._authority else "http", "-external-url", self.endpoint]
        folder = self.folder
        tls = ["-cert-location", str(folder / "server.pem"), "-private-key-location", str(folder / "server.key")]
        data = ["-backend", "memory", "-log-level", "warn"]
        return [str(fetch_fake_gcs()), *address, *scheme, *data, *(tls if self._authority else [])]

    def _tls(self) -> ssl.SSLContext | None:
        return ssl.create_default_context(cafile=str(self._authority.ca)) if self._authority else None
