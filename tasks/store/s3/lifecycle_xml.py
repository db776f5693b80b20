"""The lifecycle configuration of an S3 bucket as bytes: finds the rules in it, and puts rules into it. Pure.

    <LifecycleConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">   head
      <Rule>…</Rule>                                                            one slice of the bytes for each rule
    </LifecycleConfiguration>                                                   tail

boto3 would parse and write the rules too, but it drops elements that it does not know. So a rule of another program is
never written from its parts, but from the bytes that were read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from xml.etree import ElementTree
from xml.etree.ElementTree import Element
from xml.parsers import expat
from xml.sax.saxutils import escape

from tasks.model.errors import StoreError
from tasks.store.bucket_rules import BucketRule, Transition

_HEAD = b'<LifecycleConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
_TAIL = b"</LifecycleConfiguration>"
_KNOWN = frozenset(
    {
        *("ID", "Status", "Filter", "Prefix", "Transition", "Expiration"),
        *("NoncurrentVersionExpiration", "AbortIncompleteMultipartUpload"),
    }
)


class _Slices(NamedTuple):
    head: bytes
    rules: tuple[bytes, ...]
    tail: bytes


def parse_rules(document: bytes) -> tuple[BucketRule, ...]:
    """The rules of a configuration, in their order. Empty for an empty document. Raises `StoreError` if it is not a
    lifecycle configuration."""
    if not document:
        return ()
    slices = _slices(document)
    elements = [child for child in _parsed(document) if _name(child) == "Rule"]
    return tuple(_rule(element, stored) for element, stored in zip(elements, slices.rules, strict=True))


def with_rules(document: bytes, rules: Sequence[BucketRule]) -> bytes:
    """A configuration with exactly these rules. The bytes around the rules are those of `document`, and a rule with
    `stored` has these bytes."""
    head, _, tail = _slices(document) if document else _Slices(_HEAD, (), _TAIL)
    return b"".join([head, *(rule.stored or rule_xml(rule) for rule in rules), tail])


def rule_xml(rule: BucketRule) -> bytes:
    """A rule that this program makes. Such a rule never deletes current objects, so `expires` has to be None."""
    assert rule.expires is None
    assert not rule.is_narrowed
    assert not rule.others
    parts = [
        _element("ID", rule.name),
        f"<Filter>{_element('Prefix', rule.prefix)}</Filter>",
        _element("Status", "Enabled" if rule.is_enabled else "Disabled"),
        *(
            f"<Transition>{_element('Days', one.after_days)}{_element('StorageClass', one.storage_class)}</Transition>"
            for one in rule.transitions
        ),
    ]
    if rule.old_version_days is not None:
        days = _element("NoncurrentDays", rule.old_version_days)
        parts.append(f"<NoncurrentVersionExpiration>{days}</NoncurrentVersionExpiration>")
    if rule.upload_days is not None:
        days = _element("DaysAfterInitiation", rule.upload_days)
        parts.append(f"<AbortIncompleteMultipartUpload>{days}</AbortIncompleteMultipartUpload>")
    return f"<Rule>{''.join(parts)}</Rule>".encode()


def _slices(document: bytes) -> _Slices:
    """The bytes of each rule, and those before the first and after the last. Space between two rules is dropped."""
    parser = expat.ParserCreate()
    depth, begins, ends = 0, list[int](), list[int]()

    def start(name: str, _: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth == 2 and name.rpartition(":")[2] == "Rule":
            begins.append(parser.CurrentByteIndex)

    def end(name: str) -> None:
        nonlocal depth
        if depth == 2 and name.rpartition(":")[2] == "Rule":
            ends.append(document.index(b">", parser.CurrentByteIndex) + 1)
        depth -= 1

    parser.StartElementHandler, parser.EndElementHandler = start, end
    try:
        parser.Parse(document, True)
    except expat.ExpatError as error:
        raise StoreError(f"The lifecycle configuration of the bucket is not XML: {error}.") from None
    if not begins:
        return _Slices(_HEAD, (), _TAIL)
    rules = tuple(document[first:last] for first, last in zip(begins, ends, strict=True))
    return _Slices(document[: begins[0]], rules, document[ends[-1] :])


def _parsed(document: bytes) -> Element:
    root = ElementTree.fromstring(document)
    if _name(root) != "LifecycleConfiguration":
        raise StoreError(f"The store returned <{_name(root)}> instead of a lifecycle configuration.")
    return root


def _rule(element: Element, stored: bytes) -> BucketRule:
    filters = _child(element, "Filter")
    prefix, is_narrowed = _prefix(element, filters)
    return BucketRule(
        name=_text(element, "ID") or f"unnamed-{hashlib.sha256(stored).hexdigest()[:8]}",
        prefix=prefix,
        is_enabled=_text(element, "Status") != "Disabled",
        is_narrowed=is_narrowed,
        transitions=tuple(_transition(child) for child in _children(element, "Transition")),
        expires=_expires(_child(element, "Expiration")),
        old_version_days=_number(_child(element, "NoncurrentVersionExpiration"), "NoncurrentDays"),
        upload_days=_number(_child(element, "AbortIncompleteMultipartUpload"), "DaysAfterInitiation"),
        others=tuple(sorted(_others(element))),
        stored=stored,
    )


def _prefix(element: Element, filters: Element | None) -> tuple[str, bool]:
    """(the prefix of the rule, whether tags or sizes narrow it). Rules of the first version have the prefix outside of
    a filter. A rule without prefix acts on the whole bucket."""
    if filters is None:
        return _text(element, "Prefix"), False
    both = _child(filters, "And")
    inner = filters if both is None else both
    conditions = [
        child
        for child in inner
        if _name(child) not in ("Prefix", "And")
        and (child.text or "").strip() != "0"  # sizes greater than 0: no condition
    ]
    return _text(inner, "Prefix"), bool(conditions)


def _transition(element: Element) -> Transition:
    return Transition(after_days=_number(element, "Days"), storage_class=_text(element, "StorageClass"))


def _expires(element: Element | None) -> str | None:
    """The condition under which current objects are deleted. None if only delete markers without versions are."""
    if element is None:
        return None
    days, date = _text(element, "Days"), _text(element, "Date")
    if days:
        return f"after {days} days" if days != "1" else "after 1 day"
    if date:
        return f"on {date}"
    return None if _text(element, "ExpiredObjectDeleteMarker") == "true" else "under an unknown condition"


def _others(element: Element) -> Iterator[str]:
    """Everything in a rule that no member of `BucketRule` states."""
    yield from (_name(child) for child in element if _name(child) not in _KNOWN)
    old = _child(element, "NoncurrentVersionExpiration")
    yield from (_name(child) for child in old if _name(child) != "NoncurrentDays") if old is not None else ()
    expiration = _child(element, "Expiration")
    if expiration is not None and _expires(expiration) is None:
        yield "ExpiredObjectDeleteMarker"


def _children(element: Element, name: str) -> list[Element]:
    return [child for child in element if _name(child) == name]


def _child(element: Element, name: str) -> Element | None:
    return next(iter(_children(element, name)), None)


def _text(element: Element, name: str) -> str:
    child = _child(element, name)
    return "" if child is None else (child.text or "")


def _number(element: Element | None, name: str) -> int | None:
    text = "" if element is None else _text(element, name).strip()
    return int(text) if text.isdecimal() else None


def _name(element: Element) -> str:
    """The name of an element without its namespace."""
    return element.tag.rpartition("}")[2]


def _element(name: str, value: object) -> str:
    return f"<{name}>{escape(str(value))}</{name}>"
