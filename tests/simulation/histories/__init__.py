"""Histories: seeded steps of producers, cleaners, elections, deletions, backups, crashes and restores.

A history is a list of explicit steps. `generate` makes one from a seed, `run` carries it out in a `World` (two
simulated clusters and a repository in memory). After each backup, validation and restore the laws of `laws` compare
what the program did with the plain model of `model`. A history that breaks a law is made shorter as long as it still
breaks one, and printed as a script that can be pasted into a test.

The steps run the program's own use cases (`snapshot_locally`, `restore_locally`, `validate_locally`), never a copy.
"""
