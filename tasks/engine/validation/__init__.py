"""Validation: compares what a restore point promises with what is stored.

Here are the checks of the set's log (`set_log`), of the objects that the point's entry names (`contents`), of the data
objects (`objects`, `object_bytes`, `frame`), of plans and fragments (`fragments`), and the findings (`damage`).

Promises: damage becomes a finding, and the check continues. A finding names the topic, partition and offsets that it
concerns, unless it concerns the whole point. An object of a newer format raises `UnsupportedError`.

Never: write to the repository, or report an error of the store as damage.
"""
