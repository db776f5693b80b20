"""Lifecycle rules of a bucket: makes those of a backup set from its policy, and compares them with the bucket's.

Here are the rules that a policy asks for (`policy_rules`), the difference to what the bucket has (`rule_changes`), and
the findings about rules and settings that endanger a backup (`bucket_findings`).

Promises: everything here is pure. No rule that is made here deletes a current object, and none acts outside of the
set's data. A rule of another program is never changed.

Never: read or write a bucket.
"""
