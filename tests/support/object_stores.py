"""Throwaway object stores on 127.0.0.1: MinIO with and without TLS, MiniStack, which has storage classes, and rclone,
which ignores write conditions."""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from abc import ABC, abstractmethod
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from hashlib import sha1
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import boto3
from botocore.config import Config

from tasks.store.s3.settings import S3Settings
from tests.support.certificates import Authority
from tests.support.kafka import free_ports
from tests.support.processes import end_server, start_server, temporary_folder
from tests.support.s3_credentials import S3Credentials
from tests.support.store_programs import fetch_minio, fetch_ministack, fetch_rclone
from tests.support.token_issuer import AUDIENCE, TokenIssuer

START_TIMEOUT_S = 30.0
ROOT_CREDENTIALS = S3Credentials(access_key="testing", secret_key="testing-secret-key")


class ObjectStoreServer(ABC):
    """A server that runs while a `with` block does. Its data is in `folder`.

    Without `folder` the data is in a temporary folder that is removed at the end. The process is killed when the `with`
    block ends, and when this process ends, by SIGKILL too.
    """

    region = "us-east-1"

    def __init__(self, folder: Path | None = None) -> None:
        self._is_own_folder = folder is None
        self.folder = folder.resolve() if folder is not None else temporary_folder("objects-")
        [self.port] = free_ports(1)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        """The URL for clients."""
        return f"http://127.0.0.1:{self.port}"

    @abstractmethod
    def _command(self) -> Sequence[str]: ...

    def _environment(self) -> dict[str, str]:
        return dict(os.environ)

    def _tls(self) -> ssl.SSLContext | None:
        return None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Start it and return when it answers. After `kill` it is started again with the same port and data.

        Raises `RuntimeError` with its last lines if it ends, or if it does not answer after `START_TIMEOUT_S`.
        """
        log = self.folder / "server.log"
        self._process = start_server(self._command(), log=log, environment=self._environment())
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self._command()[0]} did not start:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.02)  # the only sign that a server serves is that it serves

    def kill(self) -> None:
        """SIGKILL it, and wait until it is gone."""
        process, self._process = self._process, None
        end_server(process)

    def close(self) -> None:
        """Kill it and remove its data. May be called again."""
        self.kill()
        if self._is_own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def settings(
        self, bucket: str, prefix: str = "", *, credentials: S3Credentials = ROOT_CREDENTIALS, **changes: Any
    ) -> S3Settings:
        """The bucket as the server's owner reaches it, except for the changes."""
        section = {
            "bucket": bucket,
            "prefix": prefix,
            "region": self.region,
            "endpoint": self.endpoint,
            "path_style": True,
            "allow_http": True,
        }
        return S3Settings.model_validate({**section, **asdict(credentials), **changes})

    @cached_property
    def client(self) -> Any:
        """boto3's own client for the owner, to prepare and to look behind the store's back."""
        return self._boto3("s3")

    def new_bucket(self, *, has_locks: bool = False) -> str:
        """An empty bucket that no other test has. With `has_locks` it can lock objects, and keeps older versions."""
        name = f"bucket-{uuid.uuid4().hex[:12]}"
        self.client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=has_locks)
        return name

    def empty(self, bucket: str) -> None:
        """Delete every object in it."""
        for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for one in page.get("Contents", []):
                self.client.delete_object(Bucket=bucket, Key=one["Key"])

    def _boto3(self, service: str) -> Any:
        own = ROOT_CREDENTIALS
        session = boto3.session.Session(own.access_key, own.secret_key, region_name=self.region)
        config = Config(s3={"addressing_style": "path"})
        return session.client(service, endpoint_url=self.endpoint, config=config)

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(f"{self.endpoint}/minio/health/ready", timeout=1, context=self._tls()).close()
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True


class MinIO(ObjectStoreServer):
    """MinIO. With an authority it speaks TLS only; with a region it refuses requests that name another one. With an
    issuer it gives temporary credentials for a token of it, which end when the token ends."""

    role_arn = "arn:minio:iam:::role/" + urlsafe_b64encode(sha1(AUDIENCE.encode()).digest()).rstrip(b"=").decode()
    """The role of those who show a token: the owner's rights on all buckets."""

    def __init__(
        self,
        folder: Path | None = None,
        *,
        authority: Authority | None = None,
        region: str | None = None,
        issuer: TokenIssuer | None = None,
    ) -> None:
        super().__init__(folder)
        self._issuer = issuer
        self._authority = authority
        self._is_strict = region is not None
        self.region = region or self.region
        if authority is not None:
            leaf = authority.issue("minio")
            certificates = self.folder / "certificates"
            certificates.mkdir(exist_ok=True)
            shutil.copy(leaf.certificate, certificates / "public.crt")
            shutil.copy(leaf.key, certificates / "private.key")

    @property
    def endpoint(self) -> str:
        return f"{'https' if self._authority else 'http'}://127.0.0.1:{self.port}"

    def temporary_credentials(self, policy: Mapping[str, Any]) -> S3Credentials:
        """A key pair with a session token that may do what the policy allows, for a quarter of an hour."""
        answer = self._boto3("sts").assume_role(
            RoleArn="arn:xxx:xxx:xxx:xxxx", RoleSessionName="test", Policy=json.dumps(policy), DurationSeconds=900
        )["Credentials"]
        return S3Credentials(
            access_key=answer["AccessKeyId"],
            secret_key=answer["SecretAccessKey"],
            session_token=answer["SessionToken"],
        )

    def _command(self) -> Sequence[str]:
        certificates = ["--certs-dir", str(self.folder / "certificates")] if self._authority else []
        address = ["--address", f"127.0.0.1:{self.port}"]
        return [str(fetch_minio()), "server", "--quiet", *address, *certificates, str(self.folder / "data")]

    def _environment(self) -> dict[str, str]:
        owner = {
            "MINIO_ROOT_USER": ROOT_CREDENTIALS.access_key,
            "MINIO_ROOT_PASSWORD": ROOT_CREDENTIALS.secret_key,
            "MINIO_BROWSER": "off",
            "MINIO_UPDATE": "off",
        }
        if self._is_strict:
            owner["MINIO_SITE_REGION"] = self.region
        if self._issuer is not None:
            owner["MINIO_IDENTITY_OPENID_CONFIG_URL"] = self._issuer.discovery_url
            owner["MINIO_IDENTITY_OPENID_CLIENT_ID"] = AUDIENCE
            owner["MINIO_IDENTITY_OPENID_ROLE_POLICY"] = "readwrite"
        return {**os.environ, **owner}

    def _tls(self) -> ssl.SSLContext | None:
        return ssl.create_default_context(cafile=str(self._authority.ca)) if self._authority else None


class MiniStack(ObjectStoreServer):
    """MiniStack: storage classes, transitions and archived objects, which are back two seconds after a request. Its
    data is in memory, and it checks no credentials."""

    def _command(self) -> Sequence[str]:
        return [str(fetch_ministack()), "-m", "ministack"]

    def _environment(self) -> dict[str, str]:
        own = {"BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(self.port), "STATE_DIR": str(self.folder)}
        return {**os.environ, **own}


class Rclone(ObjectStoreServer):
    """`rclone serve s3`: it overwrites whatever the conditions say."""

    def _command(self) -> Sequence[str]:
        (self.folder / "data").mkdir(exist_ok=True)
        keys = f"{ROOT_CREDENTIALS.access_key},{ROOT_CREDENTIALS.secret_key}"
        address = ["--addr", f"127.0.0.1:{self.port}"]
        return [str(fetch_rclone()), "serve", "s3", *address, "--auth-key", keys, str(self.folder / "data")]
