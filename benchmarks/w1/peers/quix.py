"""Quix Streams; at least once, the subjects' roles in a dictionary in place of its state."""

import tempfile

from quixstreams import Application

from benchmarks.w1.peers.enricher import EVENTS, KAFKA, PRODUCER, SINK, SOURCE, Enricher


def main() -> None:
    app = Application(
        broker_address=KAFKA,
        consumer_group=SINK,
        auto_offset_reset="earliest",
        commit_interval=1.0,
        processing_guarantee="at-least-once",
        producer_extra_config=PRODUCER,
        use_changelog_topics=False,
        state_dir=tempfile.mkdtemp(prefix="w1-quix-"),
        loglevel="WARNING",
    )
    enrich = Enricher("Quix Streams")
    source = app.topic(SOURCE, key_deserializer="bytes", value_deserializer="bytes")
    sink = app.topic(SINK, key_serializer="bytes", value_serializer="bytes")
    app.dataframe(source).apply(enrich).to_topic(sink)
    app.run(count=EVENTS)  # returns after its last checkpoint: flushed and committed
    enrich.end()


if __name__ == "__main__":
    main()
