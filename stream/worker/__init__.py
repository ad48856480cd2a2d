"""The worker: Kafka's side of the stages, with its transactions."""
