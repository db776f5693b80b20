"""Record filter: which records of a source partition a restore writes, and how many they are.

`record_filter` decides for records and for whole frames. `batches` are the batches of a frame with only these records.
`sections` counts them between barriers, for the plan of a restore and for a replay that continues.

Promises: a filter is a function of the options of the restore alone, so each process that works for a restore keeps the
same records. A frame is skipped only if the index shows that none of its records is kept.

Never: read a cluster, change a record, or guess the time of a record that was not read.
"""
