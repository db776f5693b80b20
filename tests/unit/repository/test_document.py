"""Sealed documents: their own digest at the end, unknown members kept, newer versions refused."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.model.errors import DamagedError, UnsupportedError
from tasks.repository.document import Document, encode_json, parse_json, seal, unseal

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


class Small(Document):
    """A document with one known member."""

    name: str


@settings(deadline=None, derandomize=True, max_examples=50)
@given(st.dictionaries(st.text(max_size=8).filter(lambda name: name not in ("digest", "format")), JSON, max_size=4))
def test_what_was_sealed_is_unsealed_with_its_digest(members: dict[str, object]) -> None:
    value = {"format": 1, **members}
    opened = unseal(seal(value), key="k")
    digest = opened.pop("digest")
    assert value == opened
    assert 64 == len(digest)


def test_the_digest_is_that_of_the_bytes_with_zeros_in_its_place() -> None:
    data = seal({"format": 1, "name": "é"})
    stated = data[-67:-3]
    assert hashlib.sha256(data[:-67] + b"0" * 64 + data[-3:]).hexdigest().encode() == stated
    assert data.endswith(b'"}\n')


def test_sealing_again_replaces_the_digest() -> None:
    data = seal({"format": 1, "name": "a"})
    assert data == seal(unseal(data, key="k"))


def test_every_flipped_byte_and_every_cut_is_damage_that_names_the_key() -> None:
    data = seal({"format": 1, "name": "orders", "digest_of_something": "x"})
    damaged = [data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] for at in range(len(data))]
    damaged += [data[:length] for length in range(len(data))]
    for one in damaged:
        with pytest.raises(DamagedError, match="some/key") as raised:
            unseal(one, key="some/key")
        assert "some/key" == raised.value.key


def test_a_newer_major_version_is_refused_with_what_it_needs() -> None:
    with pytest.raises(UnsupportedError, match="some/key has repository format 2; this version reads up to 1"):
        unseal(seal({"format": 2}), key="some/key")


def test_a_document_without_a_version_is_damage() -> None:
    with pytest.raises(DamagedError, match="does not say which format"):
        unseal(seal({"name": "x"}), key="k")


def test_unknown_members_survive_reading_and_writing() -> None:
    value = {"name": "a", "later": {"deep": [1, None]}}
    assert value == Small.from_json(value, key="k").to_json()


def test_a_document_that_lacks_a_member_is_damage_that_says_which() -> None:
    with pytest.raises(DamagedError, match="k is not a valid Small: name: "):
        Small.from_json({}, key="k")


def test_text_that_is_no_json_is_damage() -> None:
    for text in (b"{", b"\xff", b"[" * 100_000):
        with pytest.raises(DamagedError, match="k is not JSON"):
            parse_json(text, key="k")


def test_json_is_compact_and_not_escaped() -> None:
    assert '{"a":"é","b":[1,2]}\n'.encode() == encode_json({"a": "é", "b": [1, 2]})
