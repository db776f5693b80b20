"""Restore drills: a point is restored into scratch topics, compared with the backup by a second reader, and everything
that the drill made is removed again.

Here are the choice of the point and the topics, the comparison, the scratch groups, the clean-up, and the values that a
drill returns (`drill_result`).

Promises: a drill removes only what it made, and names what it could not remove. A comparison that compared nothing is a
failure.

Never: read or change a topic or a group that the drill did not make.
"""
