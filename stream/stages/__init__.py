"""The two stages of the worker, without Kafka: events to signals, signals to findings."""
