"""TLS on raw connections: contexts, the files of certificates and keys, handshakes, and the errors of a failed
handshake or of a broker's alert."""

from __future__ import annotations

import socket
import ssl
import time
from datetime import UTC, datetime
from pathlib import Path

from tasks.broker.auth.certificates import names_text, validity
from tasks.broker.auth.pem_files import FileKey, check_kinds, is_encrypted_key
from tasks.broker.auth.security import Security
from tasks.model.errors import AccessError, BrokerUnavailableError, ConfigError, KafkaBackupError

_HOST_MISMATCH = frozenset({62, 64})
"""OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH, which the module `ssl` does not name."""

_FILE_KEYS: tuple[FileKey, ...] = ("ssl_ca_location", "ssl_certificate_location", "ssl_key_location")
_LOOK_TIMEOUT_S = 5.0
_RENEWAL_S = 0.5
"""A certificate and a key that do not belong together are read once more after this time, because their files are
renewed one after the other."""


def trusting_context(ca_location: str | None) -> ssl.SSLContext:
    """A context that verifies certificate and host name. It trusts the authorities in this PEM file; with None, those
    of the system. Raises `ssl.SSLError` if the file contains no valid certificate, and `OSError` if it cannot be read.

    From version 3.13 on, Python refuses certificates without some extensions that RFC 5280 requires (such as the
    Authority Key Identifier). Private authorities issue such certificates, and Java and librdkafka accept them. So this
    context also accepts them.
    """
    context = ssl.create_default_context(cafile=ca_location)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def tls_context(security: Security) -> ssl.SSLContext:
    """A context that verifies certificate and host name, with the client certificate if one is configured. Reads the
    files on each call, because certificates are renewed.

    Raises `ConfigError` if a file is missing or has the wrong content. The message names the configuration key.
    """
    files = {name: (str(getattr(security, name)), _read(security, name)) for name in _present(security)}
    check_kinds(files)
    try:
        context = trusting_context(security.ssl_ca_location)
    except ssl.SSLError:
        raise ConfigError(
            f"ssl_ca_location: {security.ssl_ca_location} cannot be used: a certificate in it is damaged."
        ) from None
    if security.ssl_certificate_location is not None:
        is_encrypted = is_encrypted_key(files["ssl_key_location"][1])
        _load_client_certificate(context, security, is_encrypted=is_encrypted)
    return context


def check_files(security: Security) -> None:
    """Raises `ConfigError` if a file of the configuration cannot be read, or a TLS file has the wrong content. The
    message names the configuration key."""
    if security.sasl_oauth_token_file is not None:
        _read(security, "sasl_oauth_token_file")
    if security.has_tls:
        tls_context(security)


def _present(security: Security) -> tuple[FileKey, ...]:
    return tuple(name for name in _FILE_KEYS if getattr(security, name) is not None)


def _read(security: Security, name: str) -> bytes:
    path = getattr(security, name)
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "cannot be read"
        raise ConfigError(f"{name}: {path}: {reason}.") from None


def _load_client_certificate(
    context: ssl.SSLContext, security: Security, *, is_encrypted: bool, is_last: bool = False
) -> None:
    password = security.ssl_key_password.get_secret_value() if security.ssl_key_password else ""
    certificate, key = str(security.ssl_certificate_location), str(security.ssl_key_location)
    try:
        # Without a password callback, OpenSSL would ask for the password of an encrypted key on the terminal.
        context.load_cert_chain(certificate, key, lambda: password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            if not is_last:
                time.sleep(_RENEWAL_S)
                _load_client_certificate(context, security, is_encrypted=is_encrypted, is_last=True)
                return
            raise ConfigError(
                f"ssl_key_location: {key} is not the key of {certificate}. Use two files that belong together."
            ) from None
        if not _is_readable(certificate):
            raise ConfigError(
                f"ssl_certificate_location: {certificate} cannot be used: the certificate in it is damaged."
            ) from None
        if is_encrypted:
            hint = "ssl_key_password does not open it" if password else "it is encrypted, and needs an ssl_key_password"
            raise ConfigError(f"ssl_key_location: the key in {key} cannot be used: {hint}.") from None
        raise ConfigError(f"ssl_key_location: {key} cannot be used: the key in it is damaged.") from None


def _is_readable(certificate: str) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(certificate)
    except (ssl.SSLError, ValueError):
        return False
    return True


def tls_handshake(sock: socket.socket, host: str, security: Security, *, where: str) -> ssl.SSLSocket:
    """Perform the handshake over a connected socket. The caller has to close `sock` if this raises.

    Raises the `ConfigError` of `tls_context`, `AccessError` if the broker's certificate cannot be verified, the error
    of `tls_alert_error` for a permanent alert, and `BrokerUnavailableError` for every other failure. If the certificate
    does not contain `host`, one more connection is opened to read its names for the message.
    """
    context = tls_context(security)
    name = host.partition("%")[0]  # without the scope of an IPv6 address, which no certificate has
    try:
        peer = sock.getpeername()
        return context.wrap_socket(sock, server_hostname=name)
    except ssl.SSLCertVerificationError as error:
        if error.verify_code in _HOST_MISMATCH:
            raise AccessError(_names_message(peer, name, security, where)) from None
        raise AccessError(_verification_message(error, security, where)) from None
    except ssl.SSLError as error:
        raise tls_alert_error(error, security, where) or BrokerUnavailableError(
            f"Broker {where}: the TLS handshake failed: {_reason_text(error)}."
        ) from None
    except OSError as error:
        raise BrokerUnavailableError(f"Broker {where}: the TLS handshake failed: {error}.") from None


def tls_alert_error(error: OSError, security: Security, where: str) -> KafkaBackupError | None:
    """The permanent error for a broker's TLS alert. None if `error` is not an alert, or if a retry can succeed.

    In TLS 1.3 the alert for a rejected client certificate arrives after the handshake, instead of the first answer.
    """
    reason = getattr(error, "reason", None) or ""
    if "ALERT" not in reason or "CLOSE_NOTIFY" in reason or "INTERNAL_ERROR" in reason:
        return None
    if "CERTIFICATE" in reason or "UNKNOWN_CA" in reason:
        return _client_certificate_error(security, where, _alert_text(reason))
    return ConfigError(
        f"Broker {where} rejects the TLS handshake ({_alert_text(reason)}). "
        "Check which TLS versions and cipher suites the broker accepts."
    )


def _client_certificate_error(security: Security, where: str, alert: str) -> AccessError:
    if security.ssl_certificate_location is None:
        return AccessError(
            f"Broker {where} requires a client certificate ({alert}): set ssl_certificate_location and "
            "ssl_key_location to a certificate that the broker trusts."
        )
    refused = f"Broker {where} does not accept the client certificate in {security.ssl_certificate_location} ({alert})"
    known = validity(_read(security, "ssl_certificate_location"))
    problem = known.problem(datetime.now(UTC)) if known else None
    if problem is not None:
        return AccessError(
            f"{refused}: {problem}. Renew the files of ssl_certificate_location and ssl_key_location; they are read "
            "again for each new connection."
        )
    return AccessError(
        f"{refused}: set ssl_certificate_location and ssl_key_location to a certificate that the broker trusts."
    )


def _names_message(peer: tuple[str, int], name: str, security: Security, where: str) -> str:
    seen = _certificate(peer, security)
    names = names_text(seen, name) if seen else f"the certificate does not name {name}"
    return (
        f"Broker {where} has a certificate for other names: {names}. Connect with a name that the certificate has, or "
        f"give the broker a certificate with {name} in its subjectAltName."
    )


def _certificate(peer: tuple[str, int], security: Security) -> dict[str, object] | None:
    """The broker's certificate, read over a new connection. It is verified, except for its names. None if it cannot be
    read."""
    context = tls_context(security)
    context.check_hostname = False
    try:
        with (
            socket.create_connection(peer[:2], timeout=_LOOK_TIMEOUT_S) as sock,
            context.wrap_socket(sock) as secured,
        ):
            return dict(secured.getpeercert() or {})
    except OSError:
        return None


def _verification_message(error: ssl.SSLCertVerificationError, security: Security, where: str) -> str:
    reason = error.verify_message.rstrip(".")
    if security.ssl_ca_location is not None:
        return (
            f"Cannot verify the certificate of broker {where} with {security.ssl_ca_location}: {reason}. "
            "Check ssl_ca_location and the broker's certificate."
        )
    return (
        f"Cannot verify the certificate of broker {where} with the authorities of this system: {reason}. "
        "Check the broker's certificate. Set ssl_ca_location if a private authority signed it."
    )


def _reason_text(error: ssl.SSLError) -> str:
    return _alert_text(error.reason) if error.reason else str(error)


def _alert_text(reason: str) -> str:
    return reason.partition("ALERT_")[2].lower().replace("_", " ") or reason.lower().replace("_", " ")
