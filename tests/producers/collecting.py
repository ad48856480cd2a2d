"""An outlet for tests that need no Kafka."""

from keytrail.schemas.records import Event


class Collecting:
    """Takes everything, unless a subclass says otherwise."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def publish(self, record: Event) -> bool:
        self.events.append(record)
        return True

    def check(self) -> None:
        pass

    def flush(self, timeout_s: float) -> int:
        return 0
