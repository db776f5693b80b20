"""Lifecycle configurations as bytes: foreign rules stay byte for byte, and every part that this program decides by is
read."""

from __future__ import annotations

import pytest

from tasks.model.errors import StoreError
from tasks.store.bucket_rules import BucketRule, Transition
from tasks.store.s3.lifecycle_xml import parse_rules, rule_xml, with_rules

NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
FOREIGN = (
    "<Rule >\n  <ID>logs &amp; traces</ID><Status>Enabled</Status>\n"
    "  <Filter><And><Prefix>logs/</Prefix><Tag><Key>a</Key><Value>b</Value></Tag></And></Filter>\r\n"
    "  <NewKind days='3'/><Expiration><Days>30</Days></Expiration></Rule>"
)


def _document(*rules: str) -> bytes:
    body = "\n".join(rules)
    head = f'<?xml version="1.0" encoding="UTF-8"?>\n<LifecycleConfiguration {NAMESPACE}>'
    return f"{head}{body}\n</LifecycleConfiguration>".encode()


def _rule(inner: str) -> BucketRule:
    [rule] = parse_rules(_document(f"<Rule><ID>r</ID><Status>Enabled</Status>{inner}</Rule>"))
    return rule


def test_a_foreign_rule_is_written_with_the_bytes_that_were_read() -> None:
    document = _document(FOREIGN, "<Rule><ID>old</ID><Status>Disabled</Status><Prefix>tmp/</Prefix></Rule>")
    foreign, old = parse_rules(document)
    own = BucketRule(name="kafka-backup/demo/uploads", prefix="data/demo/", upload_days=7)

    written = with_rules(document, [foreign, own])

    assert FOREIGN.encode() in written
    assert b"tmp/" not in written
    assert (foreign, own) == parse_rules(written)
    assert FOREIGN.encode() == parse_rules(written)[0].stored
    assert ("logs & traces", "logs/", True, "after 30 days", ("NewKind",)) == (
        foreign.name,
        foreign.prefix,
        foreign.is_narrowed,
        foreign.expires,
        foreign.others,
    )
    assert ("tmp/", False) == (old.prefix, old.is_enabled)


def test_the_same_rules_give_the_same_document() -> None:
    document = _document(FOREIGN)
    assert document == with_rules(document, parse_rules(document))


def test_an_own_rule_is_read_as_it_was_made() -> None:
    moves = (Transition(after_days=30, storage_class="STANDARD_IA"), Transition(after_days=90, storage_class="GLACIER"))
    for rule in (
        BucketRule(name="kafka-backup/a/tiers", prefix="p&q/data/a/", transitions=moves),
        BucketRule(name="kafka-backup/a/versions", prefix="data/a/", old_version_days=8),
    ):
        assert (rule,) == parse_rules(with_rules(b"", [rule]))
        assert b"<Expiration>" not in rule_xml(rule)


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        ("<Filter/><Expiration><Date>2030-01-01T00:00:00Z</Date></Expiration>", "on 2030-01-01T00:00:00Z"),
        ("<Filter/><Expiration><Days>1</Days></Expiration>", "after 1 day"),
        ("<Filter/><Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>", None),
        ("<Filter/><Expiration><Whenever/></Expiration>", "under an unknown condition"),
        ("<Filter/>", None),
    ],
)
def test_every_condition_that_deletes_current_objects_is_read(inner: str, expected: str | None) -> None:
    assert expected == _rule(inner).expires


@pytest.mark.parametrize(
    ("filters", "prefix", "is_narrowed"),
    [
        ("<Filter/>", "", False),
        ("<Filter><Prefix/></Filter>", "", False),
        ("<Filter><Prefix>a/</Prefix></Filter>", "a/", False),
        ("<Prefix>a/</Prefix>", "a/", False),
        ("<Filter><ObjectSizeLessThan>9</ObjectSizeLessThan></Filter>", "", True),
        ("<Filter><Tag><Key>k</Key><Value>v</Value></Tag></Filter>", "", True),
        (
            "<Filter><And><Prefix>a/</Prefix><ObjectSizeGreaterThan>0</ObjectSizeGreaterThan></And></Filter>",
            "a/",
            False,
        ),
        (
            "<Filter><And><Prefix>a/</Prefix><ObjectSizeGreaterThan>5</ObjectSizeGreaterThan></And></Filter>",
            "a/",
            True,
        ),
    ],
)
def test_the_prefix_and_whether_more_conditions_follow_are_read(filters: str, prefix: str, is_narrowed: bool) -> None:
    rule = _rule(filters)
    assert (prefix, is_narrowed) == (rule.prefix, rule.is_narrowed)


def test_a_part_that_changes_an_own_rule_makes_it_another_rule() -> None:
    """Somebody can add a part by hand. Then the rule is not the wanted one, whatever else it contains."""
    plain = "<Filter><Prefix>data/a/</Prefix></Filter><NoncurrentVersionExpiration><NoncurrentDays>2</NoncurrentDays>"
    end = "</NoncurrentVersionExpiration>"
    wanted = BucketRule(name="r", prefix="data/a/", old_version_days=2)

    assert wanted == _rule(plain + end)
    assert wanted != _rule(f"{plain}<NewerNoncurrentVersions>3</NewerNoncurrentVersions>{end}")
    assert wanted != _rule(f"{plain}{end}<NoncurrentVersionTransition/>")
    assert wanted != _rule(f"{plain}{end}<Expiration><Days>3</Days></Expiration>")
    marker = "<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>"
    assert wanted != _rule(f"{plain}{end}{marker}")


def test_no_document_has_no_rules_and_other_documents_are_refused() -> None:
    assert () == parse_rules(b"")
    for other in (b"<Other/>", b"not XML"):
        with pytest.raises(StoreError):
            parse_rules(other)
