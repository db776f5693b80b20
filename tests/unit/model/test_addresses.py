"""Addresses are host:port; an IPv6 host is in brackets, and every other form is refused with an example."""

from __future__ import annotations

import pytest

from tasks.model.addresses import parse_address
from tasks.model.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kafka:9092", ("kafka", 9092)),
        (" 10.0.0.1:1 ", ("10.0.0.1", 1)),
        ("[::1]:9092", ("::1", 9092)),
        ("[fe80::1%eth0]:9092", ("fe80::1%eth0", 9092)),
        ("[2001:db8::1]:65535", ("2001:db8::1", 65535)),
        ("a_b.c-d:9092", ("a_b.c-d", 9092)),
    ],
)
def test_host_and_port_are_read_and_ipv6_hosts_lose_their_brackets(text: str, expected: tuple[str, int]) -> None:
    assert expected == parse_address(text)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("::1:9092", r"with an IPv6 address in brackets, for example \[2001:db8::1\]:9092"),
        ("2001:db8::1", r"with an IPv6 address in brackets, for example \[2001:db8::1\]:9092"),
        ("fe80::1%lo:9092", "with an IPv6 address in brackets"),
        ("[::1]", r"but the port is missing; for example \[2001:db8::1\]:9092"),
        ("kafka://user:hunter2@kafka:9092", "without a scheme, for example kafka.example.com:9092"),
        ("a:9092,b:9092", "and every further one is an entry of its own"),
        ("kafka", "for example kafka.example.com:9092"),
        ("kafka:0", "with a port from 1 to 65535"),
        ("kafka:65536", "with a port from 1 to 65535"),
        ("[kafka]:9092", "for example kafka.example.com:9092"),
    ],
)
def test_every_other_form_is_refused_with_an_example_and_without_the_text(text: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=f"should be one host:port, {hint}") as refused:
        parse_address(text)
    assert "hunter2" not in str(refused.value)
