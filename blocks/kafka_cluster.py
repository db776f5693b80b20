"""The block of a Kafka cluster. Its fields are the keys of `source` and `target` in the YAML files."""

from __future__ import annotations

from typing import Literal

from prefect.blocks.core import Block
from pydantic import Field, HttpUrl, SecretStr


class KafkaCluster(Block):
    """
    The addresses of a Kafka cluster, and the credentials for it. Use one block per role, because a backup needs other
    permissions than a restore.

    Example:
        ```python
        from blocks import KafkaCluster

        cluster = KafkaCluster.load("BLOCK_NAME")
        ```
    """

    _block_type_name = "Kafka Cluster"
    _block_type_slug = "kafka-cluster"
    _description = "The addresses of an Apache Kafka cluster, and the credentials for its backup or restore."
    _documentation_url = HttpUrl("https://kafka.apache.org/documentation/#security")

    bootstrap_servers: list[str] = Field(
        default_factory=list,
        title="Bootstrap servers",
        description="Brokers for the first connection, each as host:port.",
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", title="Security protocol", description="The protocol of the brokers' listener."
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] | None = Field(
        None,
        title="SASL mechanism",
        description="How the user is authenticated; only with SASL_PLAINTEXT and SASL_SSL.",
    )
    sasl_username: str | None = Field(None, title="User", description="The user of PLAIN and SCRAM.")
    sasl_password: SecretStr | None = Field(None, title="Password", description="The password of PLAIN and SCRAM.")
    ssl_ca_location: str | None = Field(
        None,
        title="CA file",
        description="PEM file of the trusted authorities, on the machine that runs the flow. Default: the system's.",
    )
    ssl_certificate_location: str | None = Field(
        None, title="Certificate file", description="PEM file of the client certificate, for mutual TLS."
    )
    ssl_key_location: str | None = Field(
        None, title="Key file", description="PEM file of the client certificate's private key."
    )
    ssl_key_password: SecretStr | None = Field(
        None, title="Key password", description="The password of an encrypted key file."
    )
    sasl_oauth_token_endpoint_url: str | None = Field(
        None, title="Token endpoint", description="URL that issues OAUTHBEARER tokens for client credentials."
    )
    sasl_oauth_client_id: str | None = Field(
        None, title="Client id", description="The client id for the token endpoint."
    )
    sasl_oauth_client_secret: SecretStr | None = Field(
        None, title="Client secret", description="The client secret for the token endpoint."
    )
    sasl_oauth_scope: str | None = Field(
        None, title="Scope", description="The scope to request, if the endpoint needs one."
    )
    sasl_oauth_token_file: str | None = Field(
        None,
        title="Token file",
        description="File with the token, used instead of an endpoint. It is read again for each login.",
    )
    sasl_oauth_extensions: str | None = Field(
        None,
        title="SASL extensions",
        description="Sent with each token, for example logicalCluster=lkc-1,identityPoolId=pool-1.",
    )
    connect_timeout_ms: int | None = Field(
        None,
        title="Connect timeout (ms)",
        description="How long to wait for a cluster that did not answer yet. Default: 20000.",
        ge=1_000,
        le=600_000,
    )
    rack: str | None = Field(
        None,
        title="Rack",
        description="The rack of the machine that runs the flow. Records are read from a replica in this rack, if the "
        "brokers have broker.rack and the RackAwareReplicaSelector.",
    )
