"""The keys of people: made as they are needed, published on `keytrail.subject_keys`, and read from there."""

import logging
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from keytrail.producers.clock import Clock
from keytrail.producers.committed import read_committed
from keytrail.producers.librdkafka import producer_for
from keytrail.producers.waiting_keys import WaitingKeys
from keytrail.schemas.privacy import DataKey, NamedKey, PrivacySecrets
from keytrail.schemas.records import Micros
from keytrail.schemas.settings import KafkaSettings, Settings
from keytrail.schemas.topics import SUBJECT_KEYS

_LOG = logging.getLogger("keytrail.producers")
# Also how long a running process may go on sealing with a key that was erased meanwhile.
KEY_LIFE: Micros = 3600 * 1_000_000
MOST_KEYS = 10_000
# A key must come through however long Kafka is away: without it nobody can read what it sealed.
_FOR_EVER: dict[str, str | int | bool] = {"message.timeout.ms": 0, "linger.ms": 0, "compression.type": "none"}


class SubjectKeys:
    """One process's keys.  Thread-safe; never waits for Kafka but in `flush`."""

    def __init__(
        self,
        settings: Settings,
        secrets: PrivacySecrets,
        clock: Clock,
        *,
        most: int = MOST_KEYS,
        waiting: WaitingKeys | None = None,
    ) -> None:
        self._settings = settings
        self._secrets = secrets
        self._clock = clock
        self._most = most
        self._keys: OrderedDict[str, NamedKey] = OrderedDict()
        self._waiting = waiting
        self._producer: Producer | None = None
        self._lock = threading.RLock()
        self._sender: threading.Thread | None = None
        # What earlier runs left goes first.
        self._unsent: list[tuple[str, bytes]] = [] if waiting is None else waiting.taken_over
        with self._lock:
            self._send()

    def key_of(self, name: str) -> DataKey:
        """The person's key of this process, made and published where there is none that is young enough."""
        pseudonym, now = self._secrets.pseudonym(name), self._clock()
        with self._lock:
            known = self._keys.get(pseudonym)
            if known is not None and now - known.made_at < KEY_LIFE:
                self._keys.move_to_end(pseudonym)
                return known.key
            made = NamedKey(DataKey.make(pseudonym), "" if name == pseudonym else name, now)
            self._keys[pseudonym] = made
            if len(self._keys) > self._most:
                self._keys.popitem(last=False)
            record = self._secrets.wrap(made)
            if self._waiting is not None:
                # On a full disk it is as safe as without a spool: it goes to Kafka from memory.
                with suppress(OSError):
                    self._waiting.add(*record)
            self._unsent.append(record)
            self._send()
            return made.key

    def flush(self, timeout_s: float) -> int:
        """Wait until Kafka has every key; how many it has not after `timeout_s`.  What those seal cannot be
        read without them.
        """
        with self._lock:
            self._send()
            producer, left = self._producer, len(self._unsent)
        return left if producer is None else left + int(producer.flush(timeout_s))

    def close(self, timeout_s: float) -> None:
        """As `flush`; what is left is logged.  Use nothing afterwards."""
        left = self.flush(timeout_s)
        if left:
            _LOG.warning("%d keys of people have not reached Kafka", left)
        with self._lock:
            if self._waiting is not None:
                self._waiting.close(all_sent=not left)
                self._waiting = None

    def _send(self) -> None:
        if self._producer is None and self._unsent:
            self._producer, _ = producer_for(
                self._settings,
                client_id="keytrail-subject-keys",
                on_failure=self._on_failure,
                on_error=lambda _error: None,
                defaults=_FOR_EVER,
            )
        while self._unsent and self._producer is not None:
            name, value = self._unsent[0]
            try:
                self._producer.produce(SUBJECT_KEYS.name, value, name.encode())
            except (BufferError, KafkaException):
                break
            finally:
                self._producer.poll(0)
            del self._unsent[0]
        if self._waiting is not None and self._waiting.any and self._sender is None:
            self._sender = threading.Thread(
                target=self._until_sent, name="keytrail-subject-keys", daemon=True
            )
            self._sender.start()

    def _until_sent(self) -> None:
        """In a thread of its own: forgets at once what Kafka has, since it may soon be erased there."""
        while True:
            left = self.flush(1.0)
            with self._lock:
                if self._waiting is None:
                    return
                if not left and not self._unsent and not len(self._producer or ()):
                    self._waiting.clear()
                    self._sender = None
                    return

    def _on_failure(self, error: KafkaError | None, message: Message) -> None:
        name, value = message.key(), message.value()
        if error is not None and isinstance(name, bytes) and isinstance(value, bytes):
            with self._lock:
                self._unsent.append((name.decode(), value))


def records_of(kafka: KafkaSettings, pseudonym: str) -> dict[str, bytes]:
    """The records of the person's keys that are there now, by record key.  Blocks.

    Raises `UnavailableError` where Kafka does not answer.
    """
    latest: dict[str, bytes] = {}
    for name, value in every_record(kafka, pseudonym):
        latest.pop(name, None)
        if value is not None:
            latest[name] = value
    return latest


def every_record(kafka: KafkaSettings, pseudonym: str) -> Iterator[tuple[str, bytes | None]]:
    """All that the topic still holds of the person's keys, oldest first; None: the key was destroyed."""
    start = f"{pseudonym}/".encode()
    for message in read_committed(kafka, SUBJECT_KEYS.name):
        name = message.key()
        if isinstance(name, bytes) and name.startswith(start):
            yield name.decode(errors="replace"), message.value()
