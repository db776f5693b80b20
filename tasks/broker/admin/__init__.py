"""The administrative side: topics, settings, records to delete, groups, positions, ACLs and permissions.

`client` owns the confluent-kafka client, `client_settings` configures it, `admin_requests` sends requests about many
things at once. `admin` has the methods for cluster and topics; `groups`, `acls`, `permissions` and `broker_defaults`
are functions over an `Admin`. `raw_admin` and `admin_messages` send requests over raw connections where confluent-kafka
returns incomplete answers. `topics` and `acl_codes` convert values.

Promises: safe to use from several threads. One failed topic, group or partition does not fail the others. A change is
visible at the brokers when its method returns. After a lost answer to a creation or deletion, the topics themselves
show whether it was executed.

Must never: treat an error as an empty list, send a request before a raw connection has succeeded (librdkafka retries
permanent errors until its timeout), or return objects of confluent-kafka.
"""
