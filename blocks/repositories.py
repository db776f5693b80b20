"""The blocks of repositories: the fields are the keys of `storage` in the YAML files."""

from __future__ import annotations

from prefect.blocks.core import Block
from pydantic import Field, HttpUrl, SecretStr


class LocalRepository(Block):
    """
    A folder that holds backups, on the machine that runs the flows or on a file system that it mounts.

    Example:
        ```python
        from blocks import LocalRepository

        repository = LocalRepository.load("BLOCK_NAME")
        ```
    """

    _block_type_name = "Local Repository"
    _block_type_slug = "local-repository"
    _description = "A folder that holds Kafka backups."
    _documentation_url = HttpUrl("https://docs.prefect.io/v3/concepts/blocks")

    path: str = Field("", title="Folder", description="Absolute path of the folder.")
    prefix: str = Field("", title="Prefix", description="Folder inside it that is the repository; none means itself.")


class S3Repository(Block):
    """
    A bucket, or a prefix in it, that holds backups. Without keys the machine's own credentials count: environment,
    profile, instance role.

    Example:
        ```python
        from blocks import S3Repository

        repository = S3Repository.load("BLOCK_NAME")
        ```
    """

    _block_type_name = "S3 Repository"
    _block_type_slug = "s3-repository"
    _description = "A bucket of S3, or of a store that speaks its protocol, that holds Kafka backups."
    _documentation_url = HttpUrl("https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html")

    bucket: str = Field("", title="Bucket", description="Name of the bucket.")
    prefix: str = Field("", title="Prefix", description="What the repository's keys begin with; none means the bucket.")
    region: str | None = Field(None, title="Region", description="Region of the bucket, such as eu-central-1.")
    endpoint: str | None = Field(None, title="Endpoint", description="URL of a store that is not Amazon's.")
    path_style: bool = Field(
        False, title="Path style", description="Put the bucket into the path of URLs, as MinIO and others want it."
    )
    allow_http: bool = Field(False, title="Allow http", description="Accept an endpoint without encryption.")
    access_key: str | None = Field(None, title="Access key", description="Id of the access key.")
    secret_key: SecretStr | None = Field(None, title="Secret key", description="Secret of the access key.")
    session_token: SecretStr | None = Field(
        None, title="Session token", description="Token that belongs to temporary keys."
    )
