"""The second reader: reads records with librdkafka (confluent-kafka), which has no code in common with this program.

A restore drill compares restored records with the backup. If this program's own code read both, an error in it would be
on both sides and the comparison would not find it. `record_reader` is the port. `client_settings` translates the
connection's options, and `client_errors` the errors of librdkafka.

Promises: no group is joined or created, and no position is committed. Only committed records are read, and the CRC of
every batch is checked. A read ends at an offset, and not because nothing arrives.

Never: import confluent-kafka anywhere else; import this folder before a record is read.
"""
