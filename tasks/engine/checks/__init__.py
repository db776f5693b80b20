"""Checks: whether a cluster and a store are as a backup or a restore needs them, one row for each item.

Here are the rows (`items`), the job whose needs are checked (`jobs`), and the subjects: brokers (`cluster`, with the
requests that a job sends in `requests`), ACLs (`acls`, `backup_permissions`, `restore_permissions`), the findings about
a target (`target`), the store and the repository (`store`), and clocks (`clock`).

Promises: an item that cannot be determined is `unknown` with the reason, and the others are checked all the same. What
a trial writes to a store is deleted again.

Never: change a cluster, create a repository, a folder, a topic or a group, or take a lease.
"""
