"""The administrative side: topics, settings, deletion of records, groups, positions, ACLs and permissions.

`admin_connection` lends the connections of `raw/` to one request at a time. `admin_requests` sends requests about many
topics or groups at once and repeats them. `admin` has the methods for the cluster and its topics. `groups`,
`positions`, `acls`, `permissions` and `broker_defaults` have functions that use an `Admin`. `coordinators` finds the
brokers of groups. `topic_messages`, `group_messages` and `acl_messages` send requests and read their answers.
`request_sizes` limits the size of requests. `topics` compares existing topics with requested ones. `acl_codes` names
Kafka's numbers.

Promises: safe to use from several threads. If one topic, group or partition fails, the others are still processed. When
a method for topics or settings returns, the brokers show the change. If the answer to a creation or deletion is lost,
the topics themselves show whether it was executed. Many topics or groups share a request.

Must never: treat an error as an empty list, change topics or settings that this user is not allowed to read, or use one
group's answer for another group.
"""
