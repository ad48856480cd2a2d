"""From the records of the signals topic to signals.  Only workers write there, of this version or another."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from keytrail.schemas import avro, wire
from keytrail.schemas.errors import SchemaError
from keytrail.schemas.records import DeadLetter, Micros, Signal
from keytrail.schemas.registry import Registry
from keytrail.schemas.topics import SIGNALS
from keytrail.stream.custom.rule import PREFIX
from keytrail.stream.detections.catalogue import RULES
from keytrail.stream.detections.verdict import SEVERITIES
from keytrail.stream.reading.letters import dead_letter
from keytrail.stream.reading.reading import LOST, POISON, TORN, Unreadable
from keytrail.stream.reading.source import LostRecord, SourceRecord
from keytrail.stream.worker.at_hand import Slot


@dataclass(frozen=True)
class Found:
    """A signal and its offset."""

    offset: int
    signal: Signal


class SignalReader:
    """Not thread-safe.  Raises `UnavailableError` where the registry is away."""

    def __init__(self, registry: Registry, clock: Callable[[], Micros], at_hand: Slot) -> None:
        self._at_hand = at_hand
        self._registry = registry
        self._clock = clock
        self._reader = avro.parse(avro.schema_text("signal"))
        self._decoders: dict[int, Callable[[bytes, int], Signal]] = {}

    def read(self, partition: int, records: Sequence[SourceRecord]) -> tuple[list[Found], list[DeadLetter]]:
        """The signals in order, and a dead letter for each record that is none."""
        found, dead = [], []
        for record in records:
            self._at_hand.mark(record.offset)
            read = self._read(record)
            if isinstance(read, Signal):
                found.append(Found(record.offset, read))
            else:
                dead.append(self._dead_letter(partition, record, read))
        self._at_hand.clear()
        return found, dead

    def _read(self, record: SourceRecord) -> Signal | Unreadable:
        if isinstance(record, LostRecord):
            return LOST
        if record.offset == self._at_hand.poison:
            return POISON
        try:
            return self._decode(record.value or b"")
        except (SchemaError, *TORN) as error:
            return Unreadable(
                "torn_datum",
                f"Not a signal ({type(error).__name__}).",
                "See who else writes to this topic; it is internal to the worker.",
                wire.schema_id_of(record.value or b""),
            )

    def _decode(self, value: bytes) -> Signal:
        schema_id = wire.schema_id_of(value)
        if schema_id is None:
            raise SchemaError("The value has no wire header.")
        if schema_id not in self._decoders:
            writer = avro.parse(self._registry.text_of(schema_id))
            self._decoders[schema_id] = avro.decoder(Signal, writer, self._reader)
        signal = self._decoders[schema_id](value, wire.HEADER_LENGTH)
        is_verdict = signal.tally is None and signal.triage is None and signal.attendance is None
        if is_verdict and not (_is_rule(signal.rule) and signal.severity in SEVERITIES):
            raise SchemaError("A rule or severity that this worker does not know.")
        return signal

    def _dead_letter(self, partition: int, record: SourceRecord, why: Unreadable) -> DeadLetter:
        return dead_letter(
            SIGNALS,
            partition,
            record,
            reason=why.reason,
            detail=why.detail,
            remedy=why.remedy,
            schema_id=why.schema_id,
            failed_at=self._clock(),
        )


def _is_rule(name: str) -> bool:
    """Of the catalogue, or of some policy's own."""
    return name in RULES or name.startswith(PREFIX)
