"""The administrative side: topics, settings, records to delete, groups, positions, ACLs and permissions.

`admin_connection` lends the connections of `raw/` to one request at a time, `admin_requests` sends requests about many
things at once and repeats them. `admin` has the methods for cluster and topics; `groups`, `positions`, `acls`,
`permissions` and `broker_defaults` are functions over an `Admin`. `coordinators` finds the brokers of groups.
`topic_messages`, `group_messages` and `acl_messages` send one request each and read its answer, `request_sizes` limits
them. `topics` compares what was requested with what is there, `acl_codes` names Kafka's numbers.

Promises: safe to use from several threads. One failed topic, group or partition does not fail the others. A change is
visible at the brokers when its method returns. After a lost answer to a creation or deletion, the topics themselves
show whether it was executed. Many topics or groups share a request.

Must never: treat an error as an empty list, make a change whose effect this user is not allowed to see, or take one
group's answer for another's.
"""
