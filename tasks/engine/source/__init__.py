"""Source: reads the state of a cluster, and plans the ranges that a run will read.

Here are the plans of a snapshot (`snapshot_plan`) and of an incremental run (`incremental_plan`), the comparison of the
captured logs with the leaders' logs (`lineage`), the open transactions (`open_transactions`), the topics with their
settings and the ACLs (`topic_state`), the groups with their positions (`group_state`), the topics that the user can no
longer describe (`undescribable_topics`), and the permissions that a backup needs (`permissions`).

Promises: offsets are read after the groups, so that the records below a position are in the backup. If a
partition, the groups, or a topic of the newest point cannot be read, the plan contains the reason. A dry run stores
nothing.

Never: read records, change the cluster, treat an incomplete list of groups or topics as complete, or leave out a topic
of the newest point because a permission is missing.
"""
