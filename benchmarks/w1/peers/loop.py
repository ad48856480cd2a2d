"""A loop by hand over confluent-kafka and fastavro; at least once, a commit a second."""

import time

from confluent_kafka import Consumer, Producer

from benchmarks.w1.peers.enricher import EVENTS, KAFKA, PRODUCER, SINK, SOURCE, Enricher

_BATCH = 10_000


def main() -> None:
    consumer = Consumer(
        {
            "bootstrap.servers": KAFKA,
            "group.id": SINK,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    producer = Producer({"bootstrap.servers": KAFKA, **PRODUCER})
    consumer.subscribe([SOURCE])
    enrich = Enricher("confluent-kafka + fastavro loop")
    committed = time.monotonic()
    while enrich.events < EVENTS:
        batch = consumer.consume(_BATCH, 0.2)
        out = [{"key": message.key(), "value": enrich(message.value() or b"")} for message in batch]
        if producer.produce_batch(SINK, out) != len(out):
            raise RuntimeError("the producer's queue is full")
        producer.poll(0)
        if batch and (time.monotonic() - committed >= 1 or enrich.events >= EVENTS):
            if producer.flush():
                raise RuntimeError("not all was delivered")
            consumer.commit(asynchronous=False)
            committed = time.monotonic()
    enrich.end()


if __name__ == "__main__":
    main()
