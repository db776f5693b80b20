"""Figures, tables and texts about backups, validations and restores, for people to read.

`figures` formats sizes, times and tables for the command and the flows. `backup`, `restore`, `validation` and `check`
make the table, the summary in markdown and the headline of a flow run from the engine's results, and some texts that
the command prints too. `shrinkage` describes what a point has lost compared to the point before it. `partitions` keeps
tables and lists as short as a browser can show. `recipe` shows how to restore a point.

All functions are pure: they receive values and return text or rows. They promise that nothing is left out silently: a
table or list that was shortened contains the number of rows that are missing. They must never read a repository or a
cluster, import Prefect, or show a secret.
"""
