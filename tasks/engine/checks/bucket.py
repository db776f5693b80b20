"""The rows about the lifecycle rules and settings of a bucket, which can delete or lock what a set needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tasks.engine.bucket.bucket_findings import bucket_findings
from tasks.engine.checks.items import CheckItem, missing, ok, optional, unknown
from tasks.model.errors import AccessError, ConfigError, InterruptedRunError, KafkaBackupError
from tasks.store.bucket_rules import BucketRules

RULES = "lifecycle rules"


def bucket_items(open_bucket: Callable[[], BucketRules | None], location: str, set_name: str) -> Iterator[CheckItem]:
    """A row for each finding of `bucket_findings`, or one that says that there is none. No row if the store has no
    lifecycle rules that this program reads. The job works too, so no row stops it. If the rules cannot be read, the row
    is `unknown`. Reads the settings of the bucket, and no object. Raises `InterruptedRunError`."""
    try:
        bucket = open_bucket()
        if bucket is None:
            return
        findings = bucket_findings(bucket.read(), set_name, root=bucket.root)
    except InterruptedRunError:
        raise
    except AccessError as error:
        advice = "Grant the rights to read them (see Lifecycle rules in docs/S3.md), or look at the rules yourself."
        yield optional(unknown(location, RULES, f"not checked: {error}", advice))
        return
    except KafkaBackupError as error:
        yield optional(unknown(location, RULES, f"not checked: {error}"))
        return
    for finding in findings:
        advice = "`kafka-backup lifecycle show` shows all rules."
        yield optional(missing(location, RULES, finding, advice, ConfigError))
    if not findings:
        yield ok(location, RULES, "no rule and no setting of the bucket endangers the set")
