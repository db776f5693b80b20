"""Reads the validity and the names of certificates, and makes the sentences about certificates that expired or do not
name a host. Pure."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_SEQUENCE = 0x30
_VERSION = 0xA0
_UTC_TIME = 0x17
_MOST_NAMES = 8


class Validity(NamedTuple):
    """The first and the last second of a certificate's validity, in UTC."""

    begins: datetime
    ends: datetime

    def problem(self, now: datetime) -> str | None:
        """Why the certificate is not valid at `now`; None if it is valid."""
        if now > self.ends:
            return f"it expired on {self.ends:%Y-%m-%d %H:%M} UTC"
        return f"it is valid only from {self.begins:%Y-%m-%d %H:%M} UTC on" if now < self.begins else None


def validity(pem: bytes) -> Validity | None:
    """The validity of the first certificate in the bytes of a PEM file. None if there is none, or if it cannot be read.

        Certificate    := SEQUENCE { TBSCertificate … }
        TBSCertificate := SEQUENCE { [0] version (optional), serial, algorithm, issuer, Validity, … }
        Validity       := SEQUENCE { notBefore, notAfter }, each a UTCTime or a GeneralizedTime

    Source: RFC 5280, 4.1.
    """
    try:
        found = _PEM.search(pem)
        der = ssl.PEM_cert_to_DER_cert(found.group().decode("ascii")) if found else b""
        fields = _elements(_elements(_elements(der)[0].content)[0].content)
        if fields[0].tag == _VERSION:
            fields = fields[1:]
        begins, ends = _elements(fields[3].content)[:2]
        return Validity(_time(begins), _time(ends))
    except (ValueError, IndexError):
        return None


def names_text(certificate: Mapping[str, Any], host: str) -> str:
    """A sentence for messages: the certificate does not contain `host`, and these are its names. `certificate` is a
    value of `SSLSocket.getpeercert`."""
    names = [value for kind, value in certificate.get("subjectAltName", ()) if kind in ("DNS", "IP Address")]
    if not names:
        common = [value for part in certificate.get("subject", ()) for key, value in part if key == "commonName"]
        only = f", only the common name {common[0]}, which clients do not use" if common else ""
        return f"the certificate has no subjectAltName{only}"
    shown = ", ".join(names[:_MOST_NAMES]) + (", …" if len(names) > _MOST_NAMES else "")
    return f"the certificate does not name {host}; it names {shown}"


class _Element(NamedTuple):
    tag: int
    content: bytes


def _elements(data: bytes) -> Sequence[_Element]:
    """The elements of a sequence in DER. Raises `IndexError` or `ValueError` if the bytes are not DER."""
    found, at = [], 0
    while at < len(data):
        tag, first, start = data[at], data[at + 1], at + 2
        length = first
        if first & 0x80:
            start += first & 0x7F
            length = int.from_bytes(data[at + 2 : start], "big")
        if start + length > len(data):
            raise ValueError("cut off")
        found.append(_Element(tag, data[start : start + length]))
        at = start + length
    return found


def _time(element: _Element) -> datetime:
    text = element.content.decode("ascii")
    if element.tag == _UTC_TIME:  # two digits of the year: 50 to 99 are 1950 to 1999 (RFC 5280, 4.1.2.5.1)
        text = f"{'19' if text[:2] >= '50' else '20'}{text}"
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
