"""Commit: makes the captured data of a run a restore point.

Here are the life of a run (`runs`), the append loop that every kind of point shares (`commit`), the producers of a
snapshot's point (`snapshot_point`) and of an incremental one (`incremental_point` with `point_tiers`), their common
parts (`point_parts`), what can be used of a run that died (`adoption`), the decisions about single partitions
(`outcome`, `incremental_outcome`, `tiling`), the comparison with the newest point (`shrinkage`), and the verdict on the
new point (`completeness`).

Promises: everything that an entry names is stored before the entry is appended. Every planned offset is captured, in a
gap, or in the point's failures; otherwise nothing is committed. A run commits at most once; a voided run never commits.
A commit may be repeated after any error.

Never: read a cluster, append a point whose preconditions do not hold, or drop an earlier row because a partition failed
in this run.
"""
