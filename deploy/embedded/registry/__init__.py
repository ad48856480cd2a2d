"""The embedded schema registry: Confluent's REST interface for Avro, kept in a compacted Kafka topic.

`http` serves what `service` decides; `store` is what the topic's records (`records`) add up to, and
`topic` reads and writes them.  `python -m keytrail.deploy.embedded.registry --help`.
"""
