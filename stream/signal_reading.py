"""From the records of the signals topic to signals.  Only workers write there, of this version or another."""

from collections.abc import Callable, Sequence

from keytrail.schemas import avro, wire
from keytrail.schemas.errors import SchemaError
from keytrail.schemas.records import DeadLetter, Micros, Signal
from keytrail.schemas.registry import Registry
from keytrail.schemas.topics import SIGNALS
from keytrail.stream.detections.catalogue import RULES
from keytrail.stream.findings import SEVERITIES
from keytrail.stream.letters import dead_letter
from keytrail.stream.reading import TORN
from keytrail.stream.source import SourceRecord


class SignalReader:
    """Not thread-safe.  Raises `UnavailableError` where the registry is away."""

    def __init__(self, registry: Registry, clock: Callable[[], Micros]) -> None:
        self._registry = registry
        self._clock = clock
        self._reader = avro.parse(avro.schema_text("signal"))
        self._decoders: dict[int, Callable[[bytes, int], Signal]] = {}

    def read(self, partition: int, records: Sequence[SourceRecord]) -> tuple[list[Signal], list[DeadLetter]]:
        """The signals in order, and a dead letter for each record that is none."""
        signals, dead = [], []
        for record in records:
            try:
                signals.append(self._decode(record.value or b""))
            except (SchemaError, *TORN) as error:
                dead.append(self._dead_letter(partition, record, error))
        return signals, dead

    def _decode(self, value: bytes) -> Signal:
        schema_id = wire.schema_id_of(value)
        if schema_id is None:
            raise SchemaError("The value has no wire header.")
        if schema_id not in self._decoders:
            writer = avro.parse(self._registry.text_of(schema_id))
            self._decoders[schema_id] = avro.decoder(Signal, writer, self._reader)
        signal = self._decoders[schema_id](value, wire.HEADER_LENGTH)
        if signal.rule not in RULES or signal.severity not in SEVERITIES:
            raise SchemaError("A rule or severity that this worker does not know.")
        return signal

    def _dead_letter(self, partition: int, record: SourceRecord, error: Exception) -> DeadLetter:
        return dead_letter(
            SIGNALS,
            partition,
            record,
            reason="torn_datum",
            detail=f"Not a signal ({type(error).__name__}).",
            remedy="See who else writes to this topic; it is internal to the worker.",
            schema_id=wire.schema_id_of(record.value or b""),
            failed_at=self._clock(),
        )
