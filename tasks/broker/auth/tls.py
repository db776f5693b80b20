"""TLS of raw connections: whom we trust, as whom we show up, and what a failed handshake means."""

from __future__ import annotations

import socket
import ssl

from tasks.broker.auth.security import Security
from tasks.model.errors import AccessError, BrokerUnavailableError, ConfigError, KafkaBackupError

_OTHER_HOST = frozenset({62, 64})
"""OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH."""


def tls_context(security: Security) -> ssl.SSLContext:
    """A context that checks certificate and host name. The files are read each time: certificates are renewed.

    Raises `ConfigError` that names the key of a file which is missing or is not what it should be.
    """
    for name in ("ssl_ca_location", "ssl_certificate_location", "ssl_key_location"):
        _check_readable(security, name)
    try:
        context = ssl.create_default_context(cafile=security.ssl_ca_location)
    except ssl.SSLError:
        raise ConfigError(f"ssl_ca_location: {security.ssl_ca_location} holds no certificates in PEM form.") from None
    if security.ssl_certificate_location is not None:
        _show_up(context, security)
    return context


def check_files(security: Security) -> None:
    """Raises `ConfigError` that names the key when a file cannot be read, or a TLS file is not what it should be."""
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


def _show_up(context: ssl.SSLContext, security: Security) -> None:
    password = security.ssl_key_password.get_secret_value() if security.ssl_key_password else ""
    certificate, key = str(security.ssl_certificate_location), str(security.ssl_key_location)
    try:
        # A password always, or OpenSSL would ask for it at the terminal.
        context.load_cert_chain(certificate, key, lambda: password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise ConfigError(f"ssl_key_location: {key} is not the key of {certificate}.") from None
        hint = "ssl_key_password does not open the key" if password else "the key needs an ssl_key_password"
        raise ConfigError(
            f"ssl_key_location: {key} and {certificate} cannot be used: one is no PEM file, or {hint}."
        ) from None


def wrap(sock: socket.socket, host: str, security: Security, *, where: str) -> ssl.SSLSocket:
    """Perform the handshake over a connected socket.

    Raises `AccessError` for a certificate that does not hold, and what `refusal` says of the broker's own alerts;
    any other trouble is a `BrokerUnavailableError`. The caller closes the socket then.
    """
    context = tls_context(security)
    try:
        return context.wrap_socket(sock, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        raise AccessError(_distrust(error, security, where)) from None
    except ssl.SSLError as error:
        raise refusal(error, where) or BrokerUnavailableError(
            f"Broker {where}: the TLS handshake failed: {_reason(error)}."
        ) from None
    except OSError as error:
        raise BrokerUnavailableError(f"Broker {where}: the TLS handshake failed: {error}.") from None


def refusal(error: OSError, where: str) -> KafkaBackupError | None:
    """What a broker's alert in the handshake says that no repetition changes; None when it may pass.

    In TLS 1.3 a refused client certificate shows only after the handshake, in the first answer.
    """
    reason = getattr(error, "reason", None) or ""
    if "ALERT" not in reason or "CLOSE_NOTIFY" in reason or "INTERNAL_ERROR" in reason:
        return None
    if "CERTIFICATE" in reason or "UNKNOWN_CA" in reason:
        return AccessError(
            f"Broker {where} does not accept the client certificate, or wants one ({_words(reason)}): set "
            "ssl_certificate_location and ssl_key_location to a certificate that it trusts."
        )
    return ConfigError(f"Broker {where} refuses the TLS handshake ({_words(reason)}).")


def _distrust(error: ssl.SSLCertVerificationError, security: Security, where: str) -> str:
    said = error.verify_message.rstrip(".")
    if error.verify_code in _OTHER_HOST:
        return f"Broker {where} shows a certificate for another name: {said}. Use a name that the certificate holds."
    if security.ssl_ca_location is not None:
        return f"Broker {where} shows a certificate that {security.ssl_ca_location} does not vouch for: {said}."
    return (
        f"Broker {where} shows a certificate that this system does not trust: {said}. "
        "Set ssl_ca_location to the certificate of its authority."
    )


def _reason(error: ssl.SSLError) -> str:
    return _words(error.reason) if error.reason else str(error)


def _words(reason: str) -> str:
    return reason.partition("ALERT_")[2].lower().replace("_", " ") or reason.lower().replace("_", " ")
