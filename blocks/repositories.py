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
    ca_bundle: str | None = Field(
        None, title="CA file", description="File with the certificate authorities to trust. Empty: those of the system."
    )
    use_fips_endpoint: bool = Field(
        False, title="FIPS", description="Use Amazon's endpoint with FIPS 140 cryptography."
    )
    use_dualstack_endpoint: bool = Field(False, title="Dual stack", description="Use Amazon's endpoint with IPv6.")
    sse: Literal["AES256", "aws:kms", "aws:kms:dsse"] | None = Field(
        None,
        title="Encryption",
        description="Server-side encryption of each object. Empty: the bucket decides.",
    )
    sse_kms_key_id: str | None = Field(None, title="KMS key", description="Id or ARN of the key for aws:kms.")
    sse_kms_context: dict[str, str] = Field(
        default_factory=dict, title="KMS context", description="Encryption context for aws:kms, as names and values."
    )
    sse_customer_key: SecretStr | None = Field(
        None,
        title="Customer key",
        description="Key of 32 bytes in Base64 for each object. The store does not keep it: without it nothing can be "
        "read. Instead of Encryption.",
    )
    storage_class: str | None = Field(
        None,
        title="Storage class",
        description="Class of data objects, such as STANDARD_IA. Not an archive. Empty: the standard class.",
    )
    tags: dict[str, str] = Field(
        default_factory=dict, title="Tags", description="Tags of each object, at most 10.", max_length=10
    )
    requester_pays: bool = Field(
        False, title="Requester pays", description="Accept that requests are charged to this account."
    )
    expected_bucket_owner: str | None = Field(
        None,
        title="Bucket owner",
        description="Id of the account that has to own the bucket: 12 digits. Requests to another one's bucket fail.",
    )
    object_lock_mode: Literal["compliance", "governance"] | None = Field(
        None,
        title="Object lock",
        description="Locks each data object and log entry at its write. The bucket needs Object Lock. Empty: no lock.",
    )
    object_lock_for: str | None = Field(
        None, title="Lock for", description="How long an object is locked from its write on: 30d."
    )
    single_writer: bool = Field(
        False,
        title="Single writer",
        description="States that only one machine ever writes there, for stores without conditional writes. If that is "
        "not true, data is lost.",
    )
    credentials_block: str | None = Field(
        None,
        title="Credentials block",
        description="Name of a aws-credentials block. What is empty here is taken from it.",
    )
    connect_timeout_ms: int | None = Field(
        None,
        title="Connect timeout (ms)",
        description="How long to wait for a store that did not answer yet. Default: 20000.",
        ge=1_000,
        le=600_000,
    )
    profile: str | None = Field(
        None, title="Profile", description="Profile of the AWS files of the machine, also of IAM Identity Center (SSO)."
    )
    role_arn: str | None = Field(
        None, title="Role", description="ARN of a role to assume. The other credentials only obtain those of the role."
    )
    external_id: str | None = Field(None, title="External id", description="External id, if the role asks for one.")
    web_identity_token_file: str | None = Field(
        None, title="Token file", description="File with a web identity token, which obtains credentials of the role."
    )
    access_key: str | None = Field(None, title="Access key", description="Id of the access key.")
    secret_key: SecretStr | None = Field(None, title="Secret key", description="Secret of the access key.")
    session_token: SecretStr | None = Field(None, title="Session token", description="Token of temporary credentials.")


class AzureRepository(Block):
    """
    A container of Azure Blob Storage, or a prefix of it, with backups. Without a key, a token and an application the
    identity comes from the environment, the pod, the machine or the Azure CLI.

    Example:
        ```python
        from blocks import AzureRepository

        repository = AzureRepository.load("BLOCK_NAME")
        ```
    """

    _block_type_name = "Azure Repository"
    _block_type_slug = "azure-repository"
    _description = "A container of Azure Blob Storage with Kafka backups."
    _documentation_url = HttpUrl("https://learn.microsoft.com/azure/storage/blobs/")

    account_name: str | None = Field(None, title="Account", description="Name of the storage account.")
    container_name: str = Field("", title="Container", description="Name of the container.")
    prefix: str = Field(
        "", title="Prefix", description="The repository is everything under this prefix; empty: the container."
    )
    mutable_container: str | None = Field(
        None,
        title="Mutable container",
        description="Container for what is overwritten: heads, leases, pins, restores. For a container with an "
        "immutability policy.",
    )
    mutable_prefix: str = Field(
        "", title="Mutable prefix", description="What is overwritten is under this prefix of the mutable container."
    )
    endpoint: str | None = Field(
        None,
        title="Endpoint",
        description="URL of the account's blob service in another cloud than Azure's public one.",
    )
    account_key: SecretStr | None = Field(None, title="Account key", description="One of the account's two keys.")
    sas_token: SecretStr | None = Field(
        None, title="SAS token", description="Query of a SAS URL of the container: sv=…&sp=…&se=…&sig=…."
    )
    connection_string: SecretStr | None = Field(
        None, title="Connection string", description="Instead of the account and its key or SAS token."
    )
    use_workload_identity: bool = Field(
        False, title="Workload identity", description="Use the federated identity of the pod that runs the flow."
    )
    client_id: str | None = Field(
        None,
        title="Client id",
        description="Id of the application; without its secret: of the machine's managed identity.",
    )
    tenant_id: str | None = Field(None, title="Tenant id", description="Id of the application's tenant.")
    client_secret: SecretStr | None = Field(None, title="Client secret", description="Secret of the application.")
    allow_http: bool = Field(False, title="Allow http", description="Accept an endpoint without TLS.")
    credentials_block: str | None = Field(
        None,
        title="Credentials block",
        description="Name of a azure-blob-storage-credentials block. What is empty here is taken from it.",
    )
    connect_timeout_ms: int | None = Field(
        None,
        title="Connect timeout (ms)",
        description="How long to wait for a store that did not answer yet. Default: 20000.",
        ge=1_000,
        le=600_000,
    )


class GcsRepository(Block):
    """
    A bucket of Google Cloud Storage, or a prefix of it, with backups. Without a key of a service account the
    credentials are the application default credentials, for example those of a workload identity.

    Example:
        ```python
        from blocks import GcsRepository

        repository = GcsRepository.load("BLOCK_NAME")
        ```
    """

    _block_type_name = "GCS Repository"
    _block_type_slug = "gcs-repository"
    _description = "A bucket of Google Cloud Storage with Kafka backups."
    _documentation_url = HttpUrl("https://cloud.google.com/storage/docs/request-preconditions")

    bucket: str = Field("", title="Bucket", description="Name of the bucket.")
    prefix: str = Field(
        "", title="Prefix", description="The repository is everything under this prefix; empty: the bucket."
    )
    mutable_bucket: str | None = Field(
        None,
        title="Mutable bucket",
        description="Bucket for what is overwritten: heads, leases, pins, restores. For a bucket with a retention "
        "policy.",
    )
    mutable_prefix: str = Field(
        "", title="Mutable prefix", description="What is overwritten is under this prefix of the mutable bucket."
    )
    endpoint: str | None = Field(
        None, title="Endpoint", description="URL of the store if it is not Google's public one."
    )
    project: str | None = Field(
        None, title="Project", description="Project that pays for the requests to a bucket whose requester pays."
    )
    service_account_path: str | None = Field(
        None, title="Key file", description="Absolute path of the key file of a service account, where the flows run."
    )
    service_account_json: SecretStr | None = Field(
        None, title="Key", description="Content of the key file of a service account. Instead of Key file."
    )
    allow_http: bool = Field(
        False, title="Allow http", description="Accept an endpoint without TLS. No credentials are sent to it."
    )
    credentials_block: str | None = Field(
        None,
        title="Credentials block",
        description="Name of a gcp-credentials block. What is empty here is taken from it.",
    )
    connect_timeout_ms: int | None = Field(
        None,
        title="Connect timeout (ms)",
        description="How long to wait for a store that did not answer yet. Default: 20000.",
        ge=1_000,
        le=600_000,
    )
