"""One throwaway broker with a listener for each protection: TLS, mutual TLS, SASL with each mechanism, short sessions.

Its PLAINTEXT listener is for preparing tests: everything is allowed there. Users of SASL are allowed what ACLs grant.
ADMIN is allowed everything.
"""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from tasks.broker.auth.security import Security
from tasks.broker.raw.connection import ConnectionOptions
from tests.support.certificates import Authority, Leaf
from tests.support.kafka import DEFAULT_VERSION, KafkaCluster, free_ports, run_tool
from tests.support.processes import temporary_folder
from tests.support.token_issuer import AUDIENCE, ISSUER, TokenIssuer

SSL, MTLS, SASL_PLAINTEXT, SASL_SSL, SHORT = "SSL", "MTLS", "SASL_PLAINTEXT", "SASL_SSL", "SHORT"
"""The listeners. SHORT is SASL_SSL with sessions of `SESSION_MS`, and only SCRAM-SHA-512 and OAUTHBEARER."""

MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER")
SHORT_MECHANISMS = ("SCRAM-SHA-512", "OAUTHBEARER")
SESSION_MS = 2_500
ADMIN, PASSWORD = "ad=min,1", "pass,word=1 ö%"
"""A user whose name has to be escaped in SCRAM."""

_PROTOCOLS = {SSL: "SSL", MTLS: "SSL", SASL_PLAINTEXT: "SASL_PLAINTEXT", SASL_SSL: "SASL_SSL", SHORT: "SASL_SSL"}
_MODULES = {
    "PLAIN": "plain.PlainLoginModule",
    "SCRAM-SHA-256": "scram.ScramLoginModule",
    "SCRAM-SHA-512": "scram.ScramLoginModule",
    "OAUTHBEARER": "oauthbearer.OAuthBearerLoginModule",
}
_TOKEN_CHECK = "org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallbackHandler"


class Sessions(NamedTuple):
    """Accepted connections of a listener, renewed authentications, and connections closed because theirs was not
    renewed."""

    opened: int
    renewed: int
    killed: int

    def since(self, before: Sessions) -> Sessions:
        """The difference to an earlier count."""
        return Sessions(*(now - then for now, then in zip(self, before, strict=True)))


class Acl(NamedTuple):
    """An allowed operation: `Acl("TOPIC", "orders", "READ")`."""

    resource: str
    name: str
    operation: str

    def __str__(self) -> str:
        return f"{self.operation} on {self.resource} {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecuredKafka:
    """The broker, its certificate authority, and the issuer of its tokens."""

    cluster: KafkaCluster
    authority: Authority
    client: Leaf
    encrypted_client: Leaf
    issuer: TokenIssuer
    jmx_port: int

    def sessions(self, listener: str) -> Sessions:
        """The broker's counts for a listener."""
        said = run_tool(
            self.cluster.version,
            "org.apache.kafka.tools.JmxTool",
            *("--jmx-url", f"service:jmx:rmi:///jndi/rmi://127.0.0.1:{self.jmx_port}/jmxrmi"),
            *("--object-name", f"kafka.server:type=socket-server-metrics,listener={listener},networkProcessor=*"),
            *("--one-time", "--report-format", "properties"),
        )
        counts = Counter[str]()
        for name, value in re.findall(r":([a-z-]+)=([0-9.E]+)$", said, re.MULTILINE):
            counts[name] += round(float(value))
        return Sessions(
            opened=counts["connection-creation-total"],
            renewed=counts["successful-reauthentication-total"],
            killed=counts["expired-connections-killed-count"],
        )

    def limit_bytes(self, user: str, bytes_per_second: int | None) -> None:
        """Set the user's quotas for fetching and producing, or remove them (None)."""
        names = ("consumer_byte_rate", "producer_byte_rate")
        change = ["--add-config", ",".join(f"{name}={bytes_per_second}" for name in names)]
        if bytes_per_second is None:
            change = ["--delete-config", ",".join(names)]
        where = ["--bootstrap-server", self.cluster.bootstrap, "--entity-type", "users", "--entity-name", user]
        run_tool(self.cluster.version, "kafka.admin.ConfigCommand", "--alter", *where, *change)

    def address(self, listener: str) -> str:
        """`host:port` of a listener."""
        return f"127.0.0.1:{self.cluster.listeners[listener]}"

    def security(
        self, listener: str, mechanism: str | None = None, user: str = ADMIN, password: str = PASSWORD
    ) -> Security:
        """The security of a client on this listener. Tokens come from the issuer's endpoint."""
        said: dict[str, str] = {"security_protocol": _PROTOCOLS[listener]}
        if listener != SASL_PLAINTEXT:
            said["ssl_ca_location"] = str(self.authority.ca)
        if listener == MTLS:
            said["ssl_certificate_location"] = str(self.client.certificate)
            said["ssl_key_location"] = str(self.client.key)
        if mechanism == "OAUTHBEARER":
            said["sasl_oauth_token_endpoint_url"] = self.issuer.token_url
            said |= {"sasl_oauth_client_id": user, "sasl_oauth_client_secret": password, "sasl_oauth_scope": "kafka"}
        elif mechanism is not None:
            said |= {"sasl_username": user, "sasl_password": password}
        return Security.model_validate({**said, "sasl_mechanism": mechanism})

    def connection(self, listener: str, security: Security) -> ConnectionOptions:
        """The options with which this program connects to a listener."""
        return ConnectionOptions(bootstrap_servers=(self.address(listener),), security=security)

    def add_user(self, name: str, password: str = PASSWORD) -> None:
        """Create a user for both SCRAM mechanisms, without any permission."""
        admin = self._admin()
        for kind in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):  # one request can name a user once
            change = UserScramCredentialUpsertion(name, ScramCredentialInfo(kind, 4096), password.encode())
            for future in admin.alter_user_scram_credentials([change]).values():
                future.result(30)

    def allow(self, user: str, acls: Sequence[Acl]) -> None:
        """Allow the user these operations. confluent-kafka does not accept an empty list."""
        if not acls:
            return
        admin = self._admin()
        for future in admin.create_acls([_binding(user, acl) for acl in acls]).values():
            future.result(30)

    def _admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.cluster.bootstrap, "log_level": 0})


def _binding(user: str, acl: Acl) -> AclBinding:
    return AclBinding(
        ResourceType[acl.resource],
        acl.name,
        ResourcePatternType.LITERAL,
        f"User:{user}",
        "*",
        AclOperation[acl.operation],
        AclPermissionType.ALLOW,
    )


@contextmanager
def secured_kafka(version: str = DEFAULT_VERSION) -> Iterator[SecuredKafka]:
    """The broker, running while the `with` lasts."""
    folder = temporary_folder("secured-")
    try:
        authority = Authority(folder)
        client = authority.issue("client", common_name="client")
        encrypted = authority.issue("encrypted-client", common_name="client", password=PASSWORD)
        listeners = dict(zip(_PROTOCOLS, free_ports(len(_PROTOCOLS)), strict=True))
        with TokenIssuer({ADMIN: PASSWORD}) as issuer:
            overrides = _authorized() | _tls(authority) | _sasl(issuer)
            [jmx_port] = free_ports(1)
            options = _jvm_options(issuer, jmx_port)
            with KafkaCluster(version, overrides=overrides, listeners=listeners, jvm_options=options) as cluster:
                secured = SecuredKafka(
                    cluster=cluster,
                    authority=authority,
                    client=client,
                    encrypted_client=encrypted,
                    issuer=issuer,
                    jmx_port=jmx_port,
                )
                secured.add_user(ADMIN)
                yield secured
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _jvm_options(issuer: TokenIssuer, jmx_port: int) -> list[str]:
    jmx = {
        "port": str(jmx_port),
        "rmi.port": str(jmx_port),
        "host": "127.0.0.1",
        "authenticate": "false",
        "ssl": "false",
    }
    return [
        # Kafka 4 uses only token endpoints that a system property allows.
        f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={issuer.jwks_url}",
        "-Djava.rmi.server.hostname=127.0.0.1",
        *(f"-Dcom.sun.management.jmxremote.{name}={value}" for name, value in jmx.items()),
    ]


def _authorized() -> dict[str, str]:
    named = {"PLAINTEXT": "PLAINTEXT", "CONTROLLER": "PLAINTEXT", **_PROTOCOLS}
    return {
        "listener.security.protocol.map": ",".join(f"{name}:{protocol}" for name, protocol in named.items()),
        "quota.window.size.seconds": "1",
        "quota.window.num": "2",
        "num.network.threads": "1",  # of each listener
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": f"User:ANONYMOUS;User:{_java(ADMIN)};User:CN=client,O=authority",
    }


def _tls(authority: Authority) -> dict[str, str]:
    server = authority.issue("server", ("127.0.0.1",), common_name="server")
    return {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(server.both),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(authority.ca),
        f"listener.name.{MTLS.lower()}.ssl.client.auth": "required",
        "ssl.principal.mapping.rules": "RULE:^CN=([^,]*).*$/CN=$1,O=authority/,DEFAULT",
    }


def _sasl(issuer: TokenIssuer) -> dict[str, str]:
    settings = {
        "sasl.oauthbearer.jwks.endpoint.url": issuer.jwks_url,
        "sasl.oauthbearer.expected.audience": AUDIENCE,
        "sasl.oauthbearer.expected.issuer": ISSUER,
    }
    for listener, mechanisms in ((SASL_PLAINTEXT, MECHANISMS), (SASL_SSL, MECHANISMS), (SHORT, SHORT_MECHANISMS)):
        prefix = f"listener.name.{listener.lower()}"
        settings[f"{prefix}.sasl.enabled.mechanisms"] = ",".join(mechanisms)
        for mechanism in mechanisms:
            settings[f"{prefix}.{mechanism.lower()}.sasl.jaas.config"] = _jaas(mechanism)
        settings[f"{prefix}.oauthbearer.sasl.server.callback.handler.class"] = _TOKEN_CHECK
    for mechanism in SHORT_MECHANISMS:
        name = f"listener.name.{SHORT.lower()}.{mechanism.lower()}.connections.max.reauth.ms"
        settings[name] = str(SESSION_MS)
    return settings


def _jaas(mechanism: str) -> str:
    module = f"org.apache.kafka.common.security.{_MODULES[mechanism]} required"
    users = f' "user_{_java(ADMIN)}"="{_java(PASSWORD)}"' if mechanism == "PLAIN" else ""
    return f"{module}{users};"


def _java(text: str) -> str:
    """The text escaped for a properties file, which is Latin-1."""
    return text.encode("ascii", "backslashreplace").decode().replace("\\x", "\\u00")
