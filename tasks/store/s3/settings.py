"""Settings of the backend `s3`: a bucket of Amazon S3, or of a store that speaks its protocol."""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal, Self
from urllib.parse import SplitResult

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

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

_ARCHIVES = frozenset({"GLACIER", "DEEP_ARCHIVE"})
_CUSTOMER_KEY_BYTES = 32
_ACCOUNT_DIGITS = 12


def _check_duration(text: str | None) -> str | None:
    if text is not None:
        duration_ms(text)
    return text


def _check_storage_class(text: str | None) -> str | None:
    if text in _ARCHIVES:
        raise ValueError(
            f"{text} is an archive: a run could not read what it wrote. Write another class, and move old data with "
            "`retention.tiers`"
        )
    return text


def _check_account(text: str | None) -> str | None:
    if text is not None and not (len(text) == _ACCOUNT_DIGITS and text.isascii() and text.isdigit()):
        raise ValueError("should be the id of an account: 12 digits in quotes")
    return text


def _check_customer_key(key: SecretStr | None) -> SecretStr | None:
    if key is not None and len(_decoded(key)) != _CUSTOMER_KEY_BYTES:
        raise ValueError("should be 32 random bytes in Base64: `openssl rand -base64 32` makes such a key")
    return key


def _decoded(key: SecretStr) -> bytes:
    try:
        return b64decode(key.get_secret_value(), validate=True)
    except (binascii.Error, ValueError):
        return b""


class S3Settings(StoreSettings):
    """The keys of a bucket that begin with the folder `prefix`; all keys if `prefix` is empty.

    Without `access_key` and `secret_key` the credentials come from `profile`, or from the environment, a profile or the
    machine's role. With `role_arn` they, or the token in `web_identity_token_file`, are used only to obtain temporary
    credentials of this role, with `external_id` if the role asks for it. Without `region` or `endpoint` they come from
    the environment or a profile. With `path_style` the bucket is in the path of URLs instead of in the host name.
    `allow_http` permits an endpoint without TLS. `ca_bundle` is a file with the authorities to trust.
    `use_fips_endpoint` and `use_dualstack_endpoint` choose other endpoints of Amazon.

    `sse`, `sse_kms_key_id` and `sse_kms_context` are the encryption that is requested for each object. None means the
    encryption of the bucket. `sse_customer_key` is a key in Base64 that the store uses for each object and does not
    keep. `storage_class` is the class of data objects; other objects get the standard class of the bucket. `tags` are
    those of each object. With `requester_pays` the requester pays for requests. `expected_bucket_owner` is an account:
    requests to a bucket of another one fail.

    `object_lock_mode` and `object_lock_for` lock each immutable object at its write, for so long. None means that
    nothing is locked. `single_writer`: see `StoreSettings.is_single_writer`. `connect_timeout_ms` is the longest time
    to wait for the store's first answer.
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
    profile: OptionalText = None
    role_arn: OptionalText = None
    external_id: OptionalText = None
    web_identity_token_file: OptionalText = None
    path_style: bool = False
    allow_http: bool = False
    ca_bundle: OptionalText = None
    use_fips_endpoint: bool = False
    use_dualstack_endpoint: bool = False
    sse: Annotated[Encryption | None, BeforeValidator(none_if_empty)] = None
    sse_kms_key_id: OptionalText = None
    sse_kms_context: dict[str, str] = Field(default_factory=dict)
    sse_customer_key: Annotated[OptionalSecret, AfterValidator(_check_customer_key)] = None
    storage_class: Annotated[OptionalText, AfterValidator(_check_storage_class)] = None
    tags: dict[str, str] = Field(default_factory=dict, max_length=10)
    requester_pays: bool = False
    expected_bucket_owner: Annotated[OptionalText, AfterValidator(_check_account)] = None
    object_lock_mode: Annotated[LockMode | None, BeforeValidator(none_if_empty)] = None
    object_lock_for: Annotated[str | None, BeforeValidator(none_if_empty), AfterValidator(_check_duration)] = None
    single_writer: bool = False
    connect_timeout_ms: ConnectTimeoutMs = CONNECT_TIMEOUT_MS

    _no_control_characters = without_control_characters(
        *("bucket", "prefix", "region", "endpoint", "access_key", "secret_key", "session_token"),
        *("profile", "role_arn", "external_id", "web_identity_token_file", "ca_bundle"),
        *("sse_kms_key_id", "sse_customer_key", "storage_class", "expected_bucket_owner", "object_lock_for"),
        *("sse_kms_context", "tags"),
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
    def lock_mode(self) -> str | None:
        return None if self.object_lock_mode is None else self.object_lock_mode.upper()

    @property
    def lock_ms(self) -> int | None:
        return None if self.object_lock_for is None else duration_ms(self.object_lock_for)

    @property
    def address(self) -> str:
        return self.bucket_location

    @property
    def first_answer_ms(self) -> int:
        return self.connect_timeout_ms

    @property
    def is_single_writer(self) -> bool:
        return self.single_writer

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        for problem in (*_credential_problems(self), *_encryption_problems(self)):
            raise ValueError(problem)
        if (self.object_lock_mode is None) != (self.object_lock_for is None):
            raise ValueError("object_lock_mode and object_lock_for belong together: set both or neither")
        if self.endpoint is not None:
            if self.use_fips_endpoint or self.use_dualstack_endpoint:
                raise ValueError("use_fips_endpoint and use_dualstack_endpoint choose an endpoint: remove endpoint")
            try:
                check_endpoint(self.endpoint, allow_http=self.allow_http)
            except ConfigError as error:
                raise ValueError(str(error)) from None
        return self


def _credential_problems(settings: S3Settings) -> Iterator[str]:
    if (settings.access_key is None) != (settings.secret_key is None):
        yield "access_key and secret_key belong together: set both, or neither for ambient credentials"
    if settings.session_token is not None and settings.access_key is None:
        yield "session_token belongs to access_key and secret_key: set them too"
    if settings.profile is not None and settings.access_key is not None:
        yield "profile and access_key are both credentials: remove one of them"
    if settings.external_id is not None and settings.role_arn is None:
        yield "external_id belongs to role_arn: set it too"
    if settings.web_identity_token_file is not None and settings.role_arn is None:
        yield "web_identity_token_file belongs to role_arn: set it too"
    if settings.web_identity_token_file is not None and (settings.access_key or settings.profile):
        yield "web_identity_token_file replaces access_key and profile: remove them"
    if settings.web_identity_token_file is not None and settings.external_id is not None:
        yield "external_id cannot be used with web_identity_token_file: remove it"


def _encryption_problems(settings: S3Settings) -> Iterator[str]:
    is_kms = settings.sse not in (None, "AES256")
    if settings.sse_kms_key_id is not None and not is_kms:
        yield "sse_kms_key_id belongs to sse: aws:kms or aws:kms:dsse"
    if settings.sse_kms_context and not is_kms:
        yield "sse_kms_context belongs to sse: aws:kms or aws:kms:dsse"
    if settings.sse_customer_key is not None and settings.sse is not None:
        yield "sse_customer_key replaces sse: remove one of them"
    if settings.sse_customer_key is not None and settings.allow_http:
        yield "sse_customer_key is sent with each request, and S3 takes it only over TLS: remove allow_http"
