"""Retention: decides which points expire, and deletes what nothing names any more.

Here are the decision about points (`keep`), the plan and its digest (`prune_plan`), what the points of a set name
(`named_objects`), the search for objects that nothing names (`unnamed_objects`) and for what crashed processes have
left beside them (`left_overs`), and the amounts by kind (`deleted`).

Promises: the newest point, a point under a hold and a point that the policy keeps never expire. An object is deleted
only if no live or expired point, no pinned point, no mark and no open run names it, its run was closed at least the
grace ago (the run of a mark: when the mark was removed), and it is itself older than the grace.

Never: read a data object or a cluster, or decide by the clock of one machine alone.
"""
