"""Plain Faust: one agent that takes each event and sends it on; at least once.

python -m benchmarks.w1.peers.faust_plain worker -l info
"""

import tempfile
from typing import Any

import faust

from benchmarks.w1.peers.enricher import EVENTS, KAFKA, SINK, SOURCE, Enricher

app = faust.App(
    SINK,
    broker=f"kafka://{KAFKA}",
    store="memory://",
    web_enabled=False,
    topic_disable_leader=True,
    consumer_auto_offset_reset="earliest",
    broker_commit_interval=1.0,
    broker_max_poll_records=5000,
    stream_buffer_maxsize=16384,
    producer_compression_type="lz4",
    producer_linger=0.1,
    producer_max_batch_size=131072,
    datadir=tempfile.mkdtemp(prefix="w1-faust-"),
)
source = app.topic(SOURCE, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")
sink = app.topic(SINK, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")
enrich = Enricher("Faust, plain agent")


@app.agent(source)
async def enrich_each(stream: Any) -> None:
    async for event in stream.events():
        await sink.send(key=event.key, value=enrich(event.value))
        if enrich.events == EVENTS:
            await app.producer.flush()
            enrich.end()


if __name__ == "__main__":
    app.main()
