"""The blocks of repositories. The fields of a block are the keys of `storage` in the YAML files for the same
backend. Their titles and help texts in Prefect's forms are here."""

from __future__ import annotations

from typing import Literal

from prefect.blocks.core import Block
from pydantic import Field, HttpUrl, SecretStr


class LocalRepository(Block):
    """
    A folder with backups, on the machine that runs the flows or on a file system that the machine mounts.

    Example:
        ```python
        from blocks import LocalRepository

        repository = LocalRepository.load("BLOCK_NAME")
        ```
    """

    _block_type_name = "Local Repository"
    _block_type_slug = "local-repository"
    _description = "A folder with Kafka backups."
    _documentation_url = HttpUrl("https://docs.prefect.io/v3/concepts/blocks")

    path: str = Field("", title="Folder", description="Path of the folder. In a block it is absolute and without ~.")
    prefix: str = Field(
        "", title="Prefix", description="The repository is this folder inside it; empty: the folder itself."
    )


class S3Repository(Block):
    """
    A bucket, or a prefix of it, with backups. Without an access key the credentials come from the environment, a
    profile or the machine's role.

    Example:
        ```python
        from blocks import S3Repository

        repository = S3Repository.load("BLOCK_NAME")
        ```
    """

    _block_type_name = "S3 Repository"
    _block_type_slug = "s3-repository"
    _description = "A bucket of S3, or of a store that speaks its protocol, with Kafka backups."
    _documentation_url = HttpUrl("https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html")

    bucket: str = Field("", title="Bucket", description="Name of the bucket.")
    prefix: str = Field(
        "", title="Prefix", description="The repository is everything under this prefix; empty: the bucket."
    )
    region: str | None = Field(None, title="Region", description="Region of the bucket, such as eu-central-1.")
    endpoint: str | None = Field(None, title="Endpoint", description="URL of a store other than Amazon S3.")
    path_style: bool = Field(
        False, title="Path style", description="Put the bucket into the path of URLs, as MinIO needs it."
    )
    allow_http: bool = Field(False, title="Allow http", description="Accept an endpoint without TLS.")
    sse: Literal["AES256", "aws:kms", "aws:kms:dsse"] | None = Field(
        None,
        title="Encryption",
        description="Server-side encryption of each object. Empty: the bucket decides.",
    )
    sse_kms_key_id: str | None = Field(None, title="KMS key", description="Id or ARN of the key for aws:kms.")
    object_lock_mode: Literal["compliance", "governance"] | None = Field(
        None,
        title="Object lock",
        description="Locks each data object and log entry at its write. The bucket needs Object Lock. Empty: no lock.",
    )
    object_lock_for: str | None = Field(
        None, title="Lock for", description="How long an object is locked from its write on: 30d."
    )
    connect_timeout_ms: int | None = Field(
        None,
        title="Connect timeout (ms)",
        description="How long to wait for a store that did not answer yet. Default: 20000.",
        ge=1_000,
        le=600_000,
    )
    access_key: str | None = Field(None, title="Access key", description="Id of the access key.")
    secret_key: SecretStr | None = Field(None, title="Secret key", description="Secret of the access key.")
    session_token: SecretStr | None = Field(None, title="Session token", description="Token of temporary credentials.")
