"""Parses addresses of brokers in configuration files: `host:port`, with an IPv6 host in brackets."""

from __future__ import annotations

import re

from tasks.model.errors import ConfigError

_LARGEST_PORT = 65_535
_NAME = r"[^\s@/,:\[\]]+"
_IPV6 = r"\[(?P<ipv6>[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(?:%[0-9A-Za-z._~-]+)?)\]"
_ADDRESS = re.compile(rf"(?:{_IPV6}|(?P<name>{_NAME})):(?P<port>[0-9]{{1,5}})")
_BARE_IPV6 = re.compile(r"[0-9A-Fa-f.]*:[0-9A-Fa-f.]*:[0-9A-Fa-f:.%\w]*")


def parse_address(text: str) -> tuple[str, int]:
    """(host, port) of an address. An IPv6 host is returned without its brackets, but with its scope (`fe80::1%eth0`).
    Spaces around the address are ignored.

    Raises `ConfigError` for every other text. The message says how to write the address. It does not contain the text,
    because a user can write a URL with a password here by mistake.
    """
    found = _ADDRESS.fullmatch(text.strip())
    if found is None:
        raise ConfigError(f"should be one host:port, {_hint(text.strip())}")
    port = int(found["port"])
    if not 0 < port <= _LARGEST_PORT:
        raise ConfigError(f"should be one host:port, with a port from 1 to {_LARGEST_PORT}")
    return found["ipv6"] or found["name"], port


def _hint(text: str) -> str:
    """How to correct a wrong text. The hint contains no part of the text."""
    if "://" in text:
        return "without a scheme, for example kafka.example.com:9092"
    if "," in text:
        return "and every further one is an entry of its own in the list"
    if text.startswith("[") and text.endswith("]"):
        return "but the port is missing; for example [2001:db8::1]:9092"
    if _BARE_IPV6.fullmatch(text):
        return "with an IPv6 address in brackets, for example [2001:db8::1]:9092"
    return "for example kafka.example.com:9092 or [2001:db8::1]:9092"
