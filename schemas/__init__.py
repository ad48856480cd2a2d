"""The contract that every part of keytrail shares; start here.

Avro schemas and their typed records, the wire format, the names of topics, the settings that say
where Kafka, the registry and ClickHouse are, and the family of errors.  This package imports no
other part of keytrail.
"""
