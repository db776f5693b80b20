"""The class of error for each code. The class tells an operator what to do next.

Every known code is in exactly one of these sets. A test checks this, so a code that a new release of Kafka adds has to
be put into one of them. An unknown code is treated like the codes in `PERMANENT`.
"""

from __future__ import annotations

from typing import Final

from tasks.broker.error_codes import ErrorCode

SPECIAL: Final = frozenset({ErrorCode.OFFSET_OUT_OF_RANGE, ErrorCode.UNKNOWN_TOPIC_ID, ErrorCode.UNKNOWN_MEMBER_ID})
"""`OffsetOutOfRangeError`, `TopicGoneError`, and a `BrokerError` with advice in its message, in this order."""

RETRYABLE: Final = frozenset(
    {
        ErrorCode.LEADER_NOT_AVAILABLE,
        ErrorCode.NOT_LEADER_OR_FOLLOWER,
        ErrorCode.REQUEST_TIMED_OUT,
        ErrorCode.BROKER_NOT_AVAILABLE,
        ErrorCode.REPLICA_NOT_AVAILABLE,
        ErrorCode.NETWORK_EXCEPTION,
        ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode.COORDINATOR_NOT_AVAILABLE,
        ErrorCode.NOT_COORDINATOR,
        ErrorCode.NOT_ENOUGH_REPLICAS,
        ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        ErrorCode.NOT_CONTROLLER,
        ErrorCode.CONCURRENT_TRANSACTIONS,
        ErrorCode.KAFKA_STORAGE_ERROR,
        ErrorCode.LISTENER_NOT_FOUND,
        ErrorCode.FENCED_LEADER_EPOCH,
        ErrorCode.UNKNOWN_LEADER_EPOCH,
        ErrorCode.OFFSET_NOT_AVAILABLE,
        ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE,
        ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE,
        ErrorCode.UNSTABLE_OFFSET_COMMIT,
        ErrorCode.THROTTLING_QUOTA_EXCEEDED,
    }
)
"""`BrokerUnavailableError`: the same request can succeed later."""

FORBIDDEN: Final = {
    ErrorCode.TOPIC_AUTHORIZATION_FAILED: "Topic",
    ErrorCode.GROUP_AUTHORIZATION_FAILED: "Group",
    ErrorCode.CLUSTER_AUTHORIZATION_FAILED: "Cluster",
    ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: "TransactionalId",
    ErrorCode.DELEGATION_TOKEN_AUTHORIZATION_FAILED: "DelegationToken",
}
"""`AccessError`: a permission is missing on a resource of this kind."""

NOT_AUTHENTICATED: Final = frozenset(
    {
        ErrorCode.UNSUPPORTED_SASL_MECHANISM,
        ErrorCode.ILLEGAL_SASL_STATE,
        ErrorCode.SASL_AUTHENTICATION_FAILED,
    }
)
"""`AccessError`: the cluster does not accept this user, or the connection does not use SASL as the port requires."""

MISCONFIGURED: Final = frozenset(
    {
        ErrorCode.INVALID_TOPIC_EXCEPTION,
        ErrorCode.INVALID_PARTITIONS,
        ErrorCode.INVALID_REPLICATION_FACTOR,
        ErrorCode.INVALID_REPLICA_ASSIGNMENT,
        ErrorCode.INVALID_CONFIG,
        ErrorCode.POLICY_VIOLATION,
    }
)
"""`ConfigError`: a name, a count or a setting is wrong."""

UNSUPPORTED: Final = frozenset(
    {
        ErrorCode.UNSUPPORTED_VERSION,
        ErrorCode.UNSUPPORTED_FOR_MESSAGE_FORMAT,
    }
)
"""`UnsupportedError`: the brokers do not support the request."""

_REQUEST_REJECTED = frozenset(
    {
        ErrorCode.UNKNOWN_SERVER_ERROR,
        ErrorCode.NONE,
        ErrorCode.CORRUPT_MESSAGE,
        ErrorCode.INVALID_FETCH_SIZE,
        ErrorCode.MESSAGE_TOO_LARGE,
        ErrorCode.STALE_CONTROLLER_EPOCH,
        ErrorCode.OFFSET_METADATA_TOO_LARGE,
        ErrorCode.RECORD_LIST_TOO_LARGE,
        ErrorCode.INVALID_TIMESTAMP,
        ErrorCode.INVALID_REQUEST,
        ErrorCode.INVALID_TXN_STATE,
        ErrorCode.SECURITY_DISABLED,
        ErrorCode.OPERATION_NOT_ATTEMPTED,
        ErrorCode.UNSUPPORTED_COMPRESSION_TYPE,
        ErrorCode.INVALID_RECORD,
        # the state of the topic or resource does not allow the change
        ErrorCode.TOPIC_ALREADY_EXISTS,
        ErrorCode.REASSIGNMENT_IN_PROGRESS,
        ErrorCode.TOPIC_DELETION_DISABLED,
        ErrorCode.NO_REASSIGNMENT_IN_PROGRESS,
        ErrorCode.RESOURCE_NOT_FOUND,
        ErrorCode.DUPLICATE_RESOURCE,
    }
)
_PRODUCERS_AND_TRANSACTIONS = frozenset(
    {
        ErrorCode.INVALID_REQUIRED_ACKS,
        ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
        ErrorCode.DUPLICATE_SEQUENCE_NUMBER,
        ErrorCode.INVALID_PRODUCER_EPOCH,
        ErrorCode.INVALID_PRODUCER_ID_MAPPING,
        ErrorCode.INVALID_TRANSACTION_TIMEOUT,
        ErrorCode.TRANSACTION_COORDINATOR_FENCED,
        ErrorCode.UNKNOWN_PRODUCER_ID,
        ErrorCode.PRODUCER_FENCED,
        ErrorCode.TRANSACTIONAL_ID_NOT_FOUND,
        ErrorCode.TRANSACTION_ABORTABLE,
    }
)
_GROUPS = frozenset(
    {
        ErrorCode.ILLEGAL_GENERATION,
        ErrorCode.INCONSISTENT_GROUP_PROTOCOL,
        ErrorCode.INVALID_GROUP_ID,
        ErrorCode.INVALID_SESSION_TIMEOUT,
        ErrorCode.REBALANCE_IN_PROGRESS,
        ErrorCode.INVALID_COMMIT_OFFSET_SIZE,
        ErrorCode.NON_EMPTY_GROUP,
        ErrorCode.GROUP_ID_NOT_FOUND,
        ErrorCode.MEMBER_ID_REQUIRED,
        ErrorCode.GROUP_MAX_SIZE_REACHED,
        ErrorCode.FENCED_INSTANCE_ID,
        ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC,
        ErrorCode.FENCED_MEMBER_EPOCH,
        ErrorCode.UNRELEASED_INSTANCE_ID,
        ErrorCode.UNSUPPORTED_ASSIGNOR,
        ErrorCode.STALE_MEMBER_EPOCH,
        ErrorCode.INVALID_REGULAR_EXPRESSION,
    }
)
_REQUESTS_THAT_WE_DO_NOT_SEND = frozenset(
    {
        # delegation tokens and SCRAM credentials
        ErrorCode.DELEGATION_TOKEN_AUTH_DISABLED,
        ErrorCode.DELEGATION_TOKEN_NOT_FOUND,
        ErrorCode.DELEGATION_TOKEN_OWNER_MISMATCH,
        ErrorCode.DELEGATION_TOKEN_REQUEST_NOT_ALLOWED,
        ErrorCode.DELEGATION_TOKEN_EXPIRED,
        ErrorCode.INVALID_PRINCIPAL_TYPE,
        ErrorCode.UNACCEPTABLE_CREDENTIAL,
        ErrorCode.PRINCIPAL_DESERIALIZATION_FAILURE,
        # fetch sessions, share groups, elections
        ErrorCode.FETCH_SESSION_ID_NOT_FOUND,
        ErrorCode.INVALID_FETCH_SESSION_EPOCH,
        ErrorCode.ELECTION_NOT_NEEDED,
        ErrorCode.INCONSISTENT_TOPIC_ID,
        ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR,
        ErrorCode.INVALID_RECORD_STATE,
        ErrorCode.SHARE_SESSION_NOT_FOUND,
        ErrorCode.INVALID_SHARE_SESSION_EPOCH,
        ErrorCode.FENCED_STATE_EPOCH,
        ErrorCode.SHARE_SESSION_LIMIT_REACHED,
        # between brokers, telemetry, Kafka Streams
        ErrorCode.LOG_DIR_NOT_FOUND,
        ErrorCode.STALE_BROKER_EPOCH,
        ErrorCode.INCONSISTENT_VOTER_SET,
        ErrorCode.INVALID_UPDATE_VERSION,
        ErrorCode.FEATURE_UPDATE_FAILED,
        ErrorCode.SNAPSHOT_NOT_FOUND,
        ErrorCode.POSITION_OUT_OF_RANGE,
        ErrorCode.DUPLICATE_BROKER_REGISTRATION,
        ErrorCode.BROKER_ID_NOT_REGISTERED,
        ErrorCode.INCONSISTENT_CLUSTER_ID,
        ErrorCode.INELIGIBLE_REPLICA,
        ErrorCode.NEW_LEADER_ELECTED,
        ErrorCode.OFFSET_MOVED_TO_TIERED_STORAGE,
        ErrorCode.MISMATCHED_ENDPOINT_TYPE,
        ErrorCode.UNSUPPORTED_ENDPOINT_TYPE,
        ErrorCode.UNKNOWN_CONTROLLER_ID,
        ErrorCode.UNKNOWN_SUBSCRIPTION_ID,
        ErrorCode.TELEMETRY_TOO_LARGE,
        ErrorCode.INVALID_REGISTRATION,
        ErrorCode.INVALID_VOTER_KEY,
        ErrorCode.DUPLICATE_VOTER,
        ErrorCode.VOTER_NOT_FOUND,
        ErrorCode.REBOOTSTRAP_REQUIRED,
        ErrorCode.STREAMS_INVALID_TOPOLOGY,
        ErrorCode.STREAMS_INVALID_TOPOLOGY_EPOCH,
        ErrorCode.STREAMS_TOPOLOGY_FENCED,
    }
)
PERMANENT: Final = _REQUEST_REJECTED | _PRODUCERS_AND_TRANSACTIONS | _GROUPS | _REQUESTS_THAT_WE_DO_NOT_SEND
"""`BrokerError`: the answer stays the same after a wait, and with another configuration of this program."""
