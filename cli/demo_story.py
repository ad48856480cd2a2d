"""The demo's second half: one key's short life, through the SDK, with the clock running."""

import time

from confluent_kafka import Consumer

from keytrail.producers import AuditTrail, KeyPublisher
from keytrail.producers.clock import system_clock
from keytrail.schemas import avro, wire
from keytrail.schemas.records import Anomaly, Key
from keytrail.schemas.settings import Settings
from keytrail.schemas.topics import ANOMALIES
from keytrail.sinks.clickhouse.http import ClickHouse

_KEY = "demo-key"
_WAIT_S = 30.0


class Story:
    """A service grants and revokes with a key; the key is revoked; somebody uses it all the same."""

    EVENTS = 3

    def __init__(self, settings: Settings, clickhouse: ClickHouse) -> None:
        self._settings = settings
        self._clickhouse = clickhouse

    def tell(self) -> bool:
        """True where the finding was read from the topic and the events stand in the table."""
        print("\n== A service adopts the SDK; its key is revoked, and used once more")
        consumer = self._subscriber()
        try:
            self._publish_key(revoked=False)
            with AuditTrail("billing", "production", settings=self._settings) as trail:
                said = {"key": _KEY, "actor": "billing-bot", "reason": "month end", "ticket": "FIN-7"}
                trail.grant("anna", "invoice-clerk", **said)  # type: ignore[arg-type]
                trail.revoke("anna", "invoice-clerk", **said)  # type: ignore[arg-type]
            self._publish_key(revoked=True)
            used = time.monotonic()
            with AuditTrail("billing", "production", settings=self._settings) as trail:
                trail.use("invoice-clerk", key=_KEY, actor="billing-bot")
            finding = self._wait_for(consumer)
            waited = time.monotonic() - used
        finally:
            consumer.close()
        if finding is None:
            print("No finding came.")
            return False
        print(
            f"{waited * 1000:.0f} ms after the call, on {ANOMALIES.name}: {finding.severity} {finding.rule}"
        )
        print(f"          {finding.summary}")
        return self._stored()

    def _publish_key(self, *, revoked: bool) -> None:
        now = system_clock()
        publisher = KeyPublisher(self._settings)
        publisher.publish(
            Key(
                key_id=_KEY,
                version=2 if revoked else 1,
                kind="service",
                owner="billing-bot",
                team="finance",
                status="revoked" if revoked else "active",
                issued_at=now - 60_000_000,
                revoked_at=now if revoked else None,
                changed_by="demo",
                reason="demo",
                changed_at=now,
            ),
            wait=True,
        )
        publisher.close(_WAIT_S)

    def _subscriber(self) -> Consumer:
        consumer = Consumer(
            self._settings.kafka.client(
                group_id="keytrail-demo", auto_offset_reset="latest", isolation_level="read_committed"
            )
        )
        consumer.subscribe([ANOMALIES.name])
        deadline = time.monotonic() + _WAIT_S
        while not consumer.assignment() and time.monotonic() < deadline:
            consumer.poll(0.1)
        return consumer

    def _wait_for(self, consumer: Consumer) -> Anomaly | None:
        schema = avro.parse(avro.schema_text("anomaly"))
        decode = avro.decoder(Anomaly, schema, schema)
        deadline = time.monotonic() + _WAIT_S
        while time.monotonic() < deadline:
            message = consumer.poll(0.1)
            value = message.value() if message is not None and message.error() is None else None
            if value is not None:
                anomaly = decode(value, wire.HEADER_LENGTH)
                if anomaly.entity == _KEY:
                    return anomaly
        return None

    def _stored(self) -> bool:
        deadline = time.monotonic() + _WAIT_S
        while time.monotonic() < deadline:
            [row] = self._clickhouse.rows(
                "SELECT count() AS stored FROM events WHERE key_id = {key:String}", params={"key": _KEY}
            )
            if int(str(row["stored"])) == self.EVENTS:
                return True
            time.sleep(0.1)
        return False
