"""Settings of the backend `gcs`: a bucket of Google Cloud Storage."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal, Self
from urllib.parse import SplitResult, urlsplit

from pydantic import model_validator

from tasks.model.errors import ConfigError
from tasks.model.setting_fields import ConnectTimeoutMs, OptionalSecret, OptionalText
from tasks.model.waiting import CONNECT_TIMEOUT_MS
from tasks.store.endpoint import check_endpoint
from tasks.store.settings import Prefix, RequiredText, StoreSettings, overlap_problem, without_control_characters

DEFAULT_ENDPOINT = "https://storage.googleapis.com"


class GcsSettings(StoreSettings):
    """The objects of a bucket whose names begin with the folder `prefix`; all objects if `prefix` is empty.

    `service_account_path` is the key file of a service account, as an absolute path; `service_account_json` is the
    content of such a file. Without both, the credentials are the application default credentials: those of the
    environment, of a workload identity or of the machine. `project` is the project that pays for the requests to a
    bucket whose requester pays.

    With `mutable_bucket`, the objects that are overwritten or deleted early (heads, leases, pins, restores) are in this
    bucket, under `mutable_prefix`: a bucket with a retention policy cannot contain them. With `mutable_prefix` alone
    they are in the same bucket.

    Without `endpoint` the bucket is in Google's cloud. `allow_http` permits an endpoint without TLS, to which no
    credentials are sent. `connect_timeout_ms` is the longest time to wait for the store's first answer.
    """

    url_scheme: ClassVar[str] = "gs"
    similar_schemes: ClassVar[frozenset[str]] = frozenset({"gcs"})
    url_example: ClassVar[str] = "gs://bucket/prefix"
    block_type: ClassVar[str | None] = "gcs-repository"

    backend: Literal["gcs"] = "gcs"
    bucket: RequiredText
    prefix: Prefix = ""
    endpoint: OptionalText = None
    project: OptionalText = None
    mutable_bucket: OptionalText = None
    mutable_prefix: Prefix = ""
    service_account_path: OptionalText = None
    service_account_json: OptionalSecret = None
    allow_http: bool = False
    connect_timeout_ms: ConnectTimeoutMs = CONNECT_TIMEOUT_MS

    # Not `service_account_json`, because a key file has line breaks.
    _no_control_characters = without_control_characters(
        *("bucket", "prefix", "mutable_bucket", "mutable_prefix", "endpoint", "project", "service_account_path")
    )

    @classmethod
    def from_url(cls, parts: SplitResult) -> Self:
        """The settings for `gs://bucket/prefix`. The credentials are the application default credentials. Raises
        `ConfigError` for any other form."""
        if parts.query or parts.fragment or "@" in parts.netloc or ":" in parts.netloc or not parts.netloc:
            raise ConfigError(
                f"A URL of Google Cloud Storage is {cls.url_example} and nothing more: credentials come from the "
                "environment or the machine."
            )
        return cls(bucket=parts.netloc, prefix=parts.path)

    def mutable_settings(self) -> Self | None:
        if self.mutable_bucket is None and not self.mutable_prefix:
            return None
        place = {"bucket": self.mutable_bucket or self.bucket, "prefix": self.mutable_prefix}
        return self.model_copy(update={**place, "mutable_bucket": None, "mutable_prefix": ""})

    @property
    def location(self) -> str:
        return f"gs://{self.bucket}/{self.prefix}".rstrip("/")

    @property
    def root(self) -> str:
        """The beginning of all names of the store in its bucket: empty, or a folder that ends with a slash."""
        return f"{self.prefix}/" if self.prefix else ""

    @property
    def bucket_location(self) -> str:
        """The bucket and its endpoint, for messages about the bucket itself."""
        return f"gs://{self.bucket}" + (f" at {self.endpoint}" if self.endpoint else "")

    @property
    def address(self) -> str:
        return self.bucket_location

    @property
    def first_answer_ms(self) -> int:
        return self.connect_timeout_ms

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.service_account_path is not None and self.service_account_json is not None:
            raise ValueError("service_account_path and service_account_json exclude each other: set one of them")
        if self.service_account_path is not None and not Path(self.service_account_path).is_absolute():
            raise ValueError("service_account_path should be an absolute path")
        mutable = self.mutable_settings()
        if mutable and (problem := overlap_problem((self.bucket, self.prefix), (mutable.bucket, mutable.prefix))):
            raise ValueError(problem)
        if self.endpoint is None:
            return self
        try:
            check_endpoint(self.endpoint, allow_http=self.allow_http)
        except ConfigError as error:
            raise ValueError(str(error)) from None
        if urlsplit(self.endpoint).scheme == "http":
            for name in ("service_account_path", "service_account_json"):
                if getattr(self, name) is not None:
                    raise ValueError(f"{name} is used only over https, because its token could be read: use https")
        return self
