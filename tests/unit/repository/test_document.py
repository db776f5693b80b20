"""Documents: sealed with their digest, unknown members are kept, newer versions are refused and are not damage."""

from __future__ import annotations

import hashlib
from typing import Literal

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


class Enumerated(Document):
    """A document with an enumeration inside a list, and a member that this version requires."""

    colours: tuple[Literal["red", "blue"], ...]
    size: int


@settings(deadline=None, derandomize=True, max_examples=50)
@given(st.dictionaries(st.text(max_size=8).filter(lambda name: name not in ("digest", "format")), JSON, max_size=4))
def test_unseal_returns_the_value_that_was_sealed_and_its_digest(members: dict[str, object]) -> None:
    value = {"format": 1, **members}
    opened = unseal(seal(value), key="k")
    digest = opened.pop("digest")
    assert value == opened
    assert 64 == len(digest)


def test_the_digest_is_computed_over_the_bytes_with_zeros_in_its_place() -> None:
    data = seal({"format": 1, "name": "é"})
    stated = data[-67:-3]
    assert hashlib.sha256(data[:-67] + b"0" * 64 + data[-3:]).hexdigest().encode() == stated
    assert data.endswith(b'"}\n')


def test_sealing_again_replaces_the_digest() -> None:
    data = seal({"format": 1, "name": "a"})
    assert data == seal(unseal(data, key="k"))


def test_every_flipped_byte_and_every_cut_is_damage_and_names_the_key() -> None:
    data = seal({"format": 1, "name": "orders", "digest_of_something": "x"})
    damaged = [data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] for at in range(len(data))]
    damaged += [data[:length] for length in range(len(data))]
    for one in damaged:
        with pytest.raises(DamagedError, match="some/key") as raised:
            unseal(one, key="some/key")
        assert "some/key" == raised.value.key


def test_a_newer_major_version_is_refused_and_the_message_names_the_version() -> None:
    with pytest.raises(UnsupportedError, match="some/key has repository format 2; this version reads up to 1"):
        unseal(seal({"format": 2}), key="some/key")


def test_a_document_without_a_version_is_damage() -> None:
    with pytest.raises(DamagedError, match="does not state its format"):
        unseal(seal({"name": "x"}), key="k")


def test_unknown_members_survive_reading_and_writing() -> None:
    value = {"name": "a", "later": {"deep": [1, None]}}
    assert value == Small.from_json(value, key="k").to_json()


def test_a_missing_member_is_damage_and_the_message_names_the_member() -> None:
    with pytest.raises(DamagedError, match="k is not a valid Small: name: "):
        Small.from_json({}, key="k")


def test_text_that_is_not_json_is_damage() -> None:
    for text in (b"{", b"\xff", b"[" * 100_000):
        with pytest.raises(DamagedError, match="k is not JSON"):
            parse_json(text, key="k")
        with pytest.raises(DamagedError, match="k is not JSON"):
            Small.from_text(text, key="k")


def test_a_document_is_the_same_from_text_and_from_a_parsed_value() -> None:
    value = {"colours": ["red"], "size": 1, "later": [{"a": None}, 1.5, "é"]}
    assert Enumerated.from_json(value, key="k") == Enumerated.from_text(encode_json(value), key="k")


@pytest.mark.parametrize("members", [{"size": 1}, {}, {"size": "large"}], ids=["", "a member missing", "another type"])
def test_an_unknown_value_of_an_enumeration_is_unsupported_and_not_damage(members: dict[str, object]) -> None:
    """Also if other members do not fit: a later version can have left them out or changed them."""
    value = {"colours": ["red", "green"], **members}
    sentence = r"^k has the unknown colours\.1 'green': use the kafka-backup that wrote it\.$"
    with pytest.raises(UnsupportedError, match=sentence):
        Enumerated.from_json(value, key="k")
    with pytest.raises(UnsupportedError, match=sentence):
        Enumerated.from_text(encode_json(value), key="k")


@pytest.mark.parametrize("colours", [[1], [None], [["red"]], "red", None])
def test_a_value_of_an_enumeration_that_is_not_text_is_damage(colours: object) -> None:
    with pytest.raises(DamagedError, match="k is not a valid Enumerated: colours"):
        Enumerated.from_json({"colours": colours, "size": 1}, key="k")


def test_json_is_compact_and_not_escaped() -> None:
    assert '{"a":"é","b":[1,2]}\n'.encode() == encode_json({"a": "é", "b": [1, 2]})
