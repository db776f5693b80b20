"""Positions: translates the committed offsets of groups to a restored target, and writes them.

Here are the rank of an offset (`rank`), the translation (`translate`), and the writing (`write`).

Promises: a translation is exact, because it counts records and does not use timestamps: the target offset is the first
restored record at or after the source offset. Every position is read back after it was written; one that is not there
has a failure.

Never: write a position of a partition that was not restored, use a position of another incarnation of a topic, or
report a position as written before it was read back.
"""
