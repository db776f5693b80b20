"""TLS on raw connections: the trusted authorities, the client certificate, and the errors of a failed handshake."""

from __future__ import annotations

import socket
import ssl

from tasks.broker.auth.security import Security
from tasks.model.errors import AccessError, BrokerUnavailableError, ConfigError, KafkaBackupError

_HOST_MISMATCH = frozenset({62, 64})
"""OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH, which the module `ssl` does not name."""


def tls_context(security: Security) -> ssl.SSLContext:
    """A context that verifies certificate and host name. Reads the files on each call, because certificates are
    renewed.

    Raises `ConfigError` that names the key whose file is missing or has the wrong content.
    """
    for name in ("ssl_ca_location", "ssl_certificate_location", "ssl_key_location"):
        _check_readable(security, name)
    try:
        context = ssl.create_default_context(cafile=security.ssl_ca_location)
    except ssl.SSLError:
        raise ConfigError(f"ssl_ca_location: {security.ssl_ca_location} holds no certificates in PEM form.") from None
    if security.ssl_certificate_location is not None:
        _load_client_certificate(context, security)
    return context


def check_files(security: Security) -> None:
    """Raises `ConfigError` that names the key whose file cannot be read, or whose TLS file has the wrong content."""
    _check_readable(security, "sasl_oauth_token_file")
    if security.has_tls:
        tls_context(security)


def _check_readable(security: Security, name: str) -> None:
    path = getattr(security, name)
    try:
        if path is not None:
            open(path, "rb").close()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "cannot be read"
        raise ConfigError(f"{name}: {path}: {reason}.") from None


def _load_client_certificate(context: ssl.SSLContext, security: Security) -> None:
    password = security.ssl_key_password.get_secret_value() if security.ssl_key_password else ""
    certificate, key = str(security.ssl_certificate_location), str(security.ssl_key_location)
    try:
        # Without a password callback OpenSSL would prompt for the password of an encrypted key on the terminal.
        context.load_cert_chain(certificate, key, lambda: password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise ConfigError(f"ssl_key_location: {key} is not the key of {certificate}.") from None
        hint = "ssl_key_password does not open the key" if password else "the key needs an ssl_key_password"
        raise ConfigError(
            f"ssl_key_location: {key} and {certificate} cannot be used: one is not a PEM file, or {hint}."
        ) from None


def tls_handshake(sock: socket.socket, host: str, security: Security, *, where: str) -> ssl.SSLSocket:
    """Perform the handshake over a connected socket. The caller closes the socket when this raises.

    Raises `AccessError` if the broker's certificate cannot be verified, the error of `tls_alert_error` for a permanent
    alert, and `BrokerUnavailableError` for everything else.
    """
    context = tls_context(security)
    try:
        return context.wrap_socket(sock, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        raise AccessError(_verification_message(error, security, where)) from None
    except ssl.SSLError as error:
        raise tls_alert_error(error, where) or BrokerUnavailableError(
            f"Broker {where}: the TLS handshake failed: {_reason_text(error)}."
        ) from None
    except OSError as error:
        raise BrokerUnavailableError(f"Broker {where}: the TLS handshake failed: {error}.") from None


def tls_alert_error(error: OSError, where: str) -> KafkaBackupError | None:
    """The permanent error that a broker's TLS alert means; None if the error is no alert or a retry can succeed.

    In TLS 1.3 the alert for a rejected client certificate arrives after the handshake, with the first answer.
    """
    reason = getattr(error, "reason", None) or ""
    if "ALERT" not in reason or "CLOSE_NOTIFY" in reason or "INTERNAL_ERROR" in reason:
        return None
    if "CERTIFICATE" in reason or "UNKNOWN_CA" in reason:
        return AccessError(
            f"Broker {where} does not accept the client certificate, or requires one ({_alert_text(reason)}): set "
            "ssl_certificate_location and ssl_key_location to a certificate that the broker trusts."
        )
    return ConfigError(f"Broker {where} rejects the TLS handshake ({_alert_text(reason)}).")


def _verification_message(error: ssl.SSLCertVerificationError, security: Security, where: str) -> str:
    reason = error.verify_message.rstrip(".")
    if error.verify_code in _HOST_MISMATCH:
        return (
            f"Broker {where} has a certificate for another name: {reason}. "
            "Connect with a name that the certificate contains."
        )
    if security.ssl_ca_location is not None:
        return (
            f"Cannot verify the certificate of broker {where} with {security.ssl_ca_location}: {reason}. "
            "Check ssl_ca_location and the broker's certificate."
        )
    return (
        f"Cannot verify the certificate of broker {where} with the authorities of this system: {reason}. "
        "Set ssl_ca_location to the certificate of its authority."
    )


def _reason_text(error: ssl.SSLError) -> str:
    return _alert_text(error.reason) if error.reason else str(error)


def _alert_text(reason: str) -> str:
    return reason.partition("ALERT_")[2].lower().replace("_", " ") or reason.lower().replace("_", " ")
