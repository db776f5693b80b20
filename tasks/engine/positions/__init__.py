"""Positions: translates the committed offsets of groups to a restored target, and writes them.

`rank` computes the rank of an offset, `translate` translates positions, and `write` writes them.

Promises: a translation is exact, because it counts records and does not use timestamps: the target offset is that of
the first restored record at or after the source offset. Every position is read back after the write. If it differs, it
has a failure.

Never: write a position of a partition that was not restored, use a position of another incarnation of a topic, or
report a position as written before it was read back.
"""
