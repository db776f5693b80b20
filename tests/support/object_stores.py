"""Throwaway object stores on 127.0.0.1: MinIO with and without TLS, MiniStack, which has storage classes, and rclone,
which ignores write conditions."""

from __future__ import annotations

import json
import os
import shutil
import ssl
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from hashlib import sha1
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from tasks.store.s3.settings import S3Settings
from tests.support.certificates import Authority
from tests.support.s3_credentials import S3Credentials
from tests.support.store_programs import fetch_minio, fetch_ministack, fetch_rclone
from tests.support.store_server import StoreServer
from tests.support.token_issuer import AUDIENCE, TokenIssuer

ROOT_CREDENTIALS = S3Credentials(access_key="testing", secret_key="testing-secret-key")


class ObjectStoreServer(StoreServer):
    """A server that speaks S3."""

    region = "us-east-1"
    ready_path = "minio/health/ready"

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
