"""Consolidation: copies the segments of many small data objects into few large ones.

Here are the choice of the objects and ranges (`candidates`), and the copy of ranges with its comparison (`join`). The
point that names the copies is made in `commit/consolidated_point`.

Promises: a copy is used only if a restore would read the same batches from it as from the originals. The originals stay
as they are.

Never: read a cluster, or copy lines that are clipped, because another lineage replaced a part of them.
"""
