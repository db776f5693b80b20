"""The enumerations of Kafka's ACL protocol (`org.apache.kafka.common.acl` and `.resource`).

`ANY` is valid in filters only. Kafka's 0 (UNKNOWN) is left out, because brokers do not send it.
"""

from __future__ import annotations

from enum import IntEnum


class AclResourceType(IntEnum):
    """The kind of resource to which an ACL applies."""

    ANY = 1
    TOPIC = 2
    GROUP = 3
    CLUSTER = 4
    TRANSACTIONAL_ID = 5
    DELEGATION_TOKEN = 6
    USER = 7


class AclPatternType(IntEnum):
    """How the resource name of an ACL is compared with the name of a resource."""

    ANY = 1
    MATCH = 2
    LITERAL = 3
    PREFIXED = 4


class AclOperation(IntEnum):
    """The operation that an ACL allows or denies."""

    ANY = 1
    ALL = 2
    READ = 3
    WRITE = 4
    CREATE = 5
    DELETE = 6
    ALTER = 7
    DESCRIBE = 8
    CLUSTER_ACTION = 9
    DESCRIBE_CONFIGS = 10
    ALTER_CONFIGS = 11
    IDEMPOTENT_WRITE = 12
    CREATE_TOKENS = 13
    DESCRIBE_TOKENS = 14
    TWO_PHASE_COMMIT = 15


class AclPermission(IntEnum):
    """Whether an ACL allows or denies the operation."""

    ANY = 1
    DENY = 2
    ALLOW = 3
