"""Settings of the backend `s3`: a bucket of Amazon S3, or of a store that speaks its protocol."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self
from urllib.parse import SplitResult

from pydantic import AfterValidator, BeforeValidator, model_validator

from tasks.model.durations import duration_ms
from tasks.model.errors import ConfigError
from tasks.model.setting_fields import ConnectTimeoutMs, OptionalSecret, OptionalText, none_if_empty
from tasks.model.waiting import CONNECT_TIMEOUT_MS
from tasks.store.endpoint import check_endpoint
from tasks.store.settings import Prefix, RequiredText, StoreSettings, without_control_characters

Encryption = Literal["AES256", "aws:kms", "aws:kms:dsse"]
"""Values of the header `x-amz-server-side-encryption`."""


LockMode = Literal["compliance", "governance"]
"""compliance: nobody can delete a locked object or end its lock · governance: users with a special right can."""


def _check_duration(text: str | None) -> str | None:
    if text is not None:
        duration_ms(text)
    return text


class S3Settings(StoreSettings):
    """The keys of a bucket that begin with the folder `prefix`; all keys if `prefix` is empty.

    Without `access_key` and `secret_key` the credentials come from the environment, a profile or the machine's role.
    Without `region` or `endpoint` they come from the environment or a profile. With `path_style` the bucket is in the
    path of URLs instead of in the host name. `allow_http` permits an endpoint without TLS.

    `sse` and `sse_kms_key_id` are the encryption that is requested for each object. None means the encryption of the
    bucket. `object_lock_mode` and `object_lock_for` lock each immutable object at its write, for so long. None means
    that nothing is locked. `connect_timeout_ms` is the longest time to wait for the store's first answer.
    """

    url_scheme: ClassVar[str] = "s3"
    url_example: ClassVar[str] = "s3://bucket/prefix"
    block_type: ClassVar[str | None] = "s3-repository"

    backend: Literal["s3"] = "s3"
    bucket: RequiredText
    prefix: Prefix = ""
    region: OptionalText = None
    endpoint: OptionalText = None
    access_key: OptionalText = None
    secret_key: OptionalSecret = None
    session_token: OptionalSecret = None
    path_style: bool = False
    allow_http: bool = False
    sse: Annotated[Encryption | None, BeforeValidator(none_if_empty)] = None
    sse_kms_key_id: OptionalText = None
    object_lock_mode: Annotated[LockMode | None, BeforeValidator(none_if_empty)] = None
    object_lock_for: Annotated[str | None, BeforeValidator(none_if_empty), AfterValidator(_check_duration)] = None
    connect_timeout_ms: ConnectTimeoutMs = CONNECT_TIMEOUT_MS

    _no_control_characters = without_control_characters(
        *("bucket", "prefix", "region", "endpoint", "access_key", "secret_key", "session_token"),
        *("sse_kms_key_id", "object_lock_for"),
    )

    @classmethod
    def from_url(cls, parts: SplitResult) -> Self:
        """The settings for `s3://bucket/prefix`. All others come from the environment, a profile or a role. Raises
        `ConfigError` for any other form."""
        if parts.query or parts.fragment or "@" in parts.netloc or ":" in parts.netloc or not parts.netloc:
            raise ConfigError(
                f"An S3 URL is {cls.url_example} and nothing more: credentials come from the environment, a profile "
                "or a role."
            )
        return cls(bucket=parts.netloc, prefix=parts.path)

    @property
    def location(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    @property
    def root(self) -> str:
        """The beginning of all keys of the store in its bucket: empty, or a folder that ends with a slash."""
        return f"{self.prefix}/" if self.prefix else ""

    @property
    def bucket_location(self) -> str:
        """The bucket and its endpoint, for messages about the bucket itself."""
        return f"s3://{self.bucket}" + (f" at {self.endpoint}" if self.endpoint else "")

    @property
    def lock_ms(self) -> int | None:
        return None if self.object_lock_for is None else duration_ms(self.object_lock_for)

    @property
    def address(self) -> str:
        return self.bucket_location

    @property
    def first_answer_ms(self) -> int:
        return self.connect_timeout_ms

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if (self.access_key is None) != (self.secret_key is None):
            raise ValueError("access_key and secret_key belong together: set both, or neither for ambient credentials")
        if self.session_token is not None and self.access_key is None:
            raise ValueError("session_token belongs to access_key and secret_key: set them too")
        if self.sse_kms_key_id is not None and self.sse in (None, "AES256"):
            raise ValueError("sse_kms_key_id belongs to sse: aws:kms or aws:kms:dsse")
        if (self.object_lock_mode is None) != (self.object_lock_for is None):
            raise ValueError("object_lock_mode and object_lock_for belong together: set both or neither")
        if self.endpoint is not None:
            try:
                check_endpoint(self.endpoint, allow_http=self.allow_http)
            except ConfigError as error:
                raise ValueError(str(error)) from None
        return self
