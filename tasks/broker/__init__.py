"""The Kafka ports, and their implementation over the network.

`ports` is what the engine sees, with its values in `log_values` and `admin_values`. `kafka_access` implements it:
`raw/` owns the connections and reads and writes logs over them, `admin/` administers topics, groups and ACLs over the
same kind of connections. `auth/` authenticates them, `messages/` encodes and decodes. `error_codes`, `error_classes`
and `translation` turn Kafka's codes into errors of this program; `retry` is the only retry loop.

Promises: every error is one of `tasks.model.errors` and names the action and its object. Retryable errors are retried
until a deadline. Every wait ends soon after `stop` is set. Topics are identified by topic id, so a re-created topic is
never taken for the old one.

Must never: decide what to back up or restore, change record batches, access a store or the repository, show a secret,
or let an exception or a type of an SDK out of this folder.
"""
