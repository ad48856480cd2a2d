"""Both stages over several partitions, of which any may be ahead and any be started again."""

from collections.abc import Iterable, Sequence
from random import Random

from reporting import LATER
from world import NOON

from keytrail.schemas.applied import AppliedPolicy
from keytrail.schemas.records import Anomaly, Event, Signal
from keytrail.stream.keys.keys import KeyDirectory
from keytrail.stream.policies.file import parse_policy
from keytrail.stream.policies.timeline import Timeline
from keytrail.stream.reading.reading import Readable
from keytrail.stream.stages.event_stage import EventBatch, EventStage
from keytrail.stream.stages.finding_stage import FindingStage
from keytrail.stream.worker.at_hand import Slot

# Small limits, so that random lives meet them; and others from the middle of each partition on.
SMALL = "version: 1\nsilence: {times: 1.5, least_hours: 2, known_days: 1, regular_reports: 5, busy_hours: 10}"
OTHER = "version: 1\nsilence: {times: 2.5, least_hours: 3, known_days: 1, regular_reports: 5, busy_hours: 10}"
PARTITIONS = 3
Row = tuple[str, str, int, str, tuple[str, ...]]


class Stages:
    """An event stage for each partition, and the finding stage; any of them may be started again."""

    def __init__(
        self,
        logs: list[list[Event]],
        arrived: dict[str, int] | None = None,
        rule: str = "audit_silence",
    ) -> None:
        self._logs = logs
        self._rule = rule
        self._arrived = arrived or {}
        self._done = [0] * len(logs)
        self._policies = Timeline(parse_policy(SMALL, ""))
        starts = {partition: len(log) // 2 for partition, log in enumerate(logs)}
        version = parse_policy(OTHER, "").version
        self._policies.take(
            AppliedPolicy("other", version, OTHER, "carol", "pk_admin", "tuning", None, NOON, starts)
        )
        self._state: list[dict[bytes, bytes | None]] = [{} for _ in logs]
        self._found: dict[bytes, bytes | None] = {}
        self._latest: dict[str, Anomaly] = {}
        self.start()

    def start(self) -> None:
        """Anew, from what the changelogs keep."""
        self._events = []
        for partition, state in enumerate(self._state):
            reader = None
            stage = EventStage(
                partition,
                reader,
                KeyDirectory(),
                self._policies,
                lambda: LATER,
                Slot(),  # type: ignore[arg-type]
            )
            for key, value in state.items():
                stage.restore(key, value)
            self._events.append(stage)
        self._findings = FindingStage(self._policies, KeyDirectory(), lambda: LATER, len(self._logs))
        for key, value in self._found.items():
            self._findings.restore(key, value)

    def go_on(self, partition: int, most: int) -> list[Signal]:
        """Signals of the partition's next batch."""
        begin = self._done[partition]
        some = self._logs[partition][begin : begin + most]
        if not some:
            return []
        self._done[partition] += len(some)
        batch = EventBatch(list(range(begin, begin + len(some))), LATER)
        batch.readable += [
            Readable(one, b"", b"", begin + at, arrived=self._arrived.get(one.event_id))
            for at, one in enumerate(some)
        ]
        output = self._events[partition].process(batch)
        changes = self._events[partition].take_changes()
        self._state[partition].update((change.key, change.value) for change in changes)
        return output.signals

    def take(self, signals: Iterable[Signal]) -> None:
        anomalies = self._findings.process(signals)
        self._found.update((change.key, change.value) for change in self._findings.take_changes())
        self._latest.update((a.entity, a) for a in anomalies if a.rule == self._rule)

    def rows(self) -> set[Row]:
        anomalies = self._findings.settle()
        self._latest.update((a.entity, a) for a in anomalies if a.rule == self._rule)
        return {
            (a.entity, a.status.replace("updated", "open"), a.count, a.policy_version, tuple(a.evidence))
            for a in self._latest.values()
        }


def in_order(
    logs: list[list[Event]],
    order: Sequence[int],
    batch: int,
    arrived: dict[str, int] | None = None,
    rule: str = "audit_silence",
) -> set[Row]:
    """One partition entirely before another."""
    stages = Stages(logs, arrived, rule)
    for partition in order:
        for _ in range(0, len(logs[partition]), batch):
            stages.take(stages.go_on(partition, batch))
    return stages.rows()


def anyhow(
    logs: list[list[Event]],
    chance: Random,
    arrived: dict[str, int] | None = None,
    rule: str = "audit_silence",
) -> set[Row]:
    """Batches of any size from any partition, drawn together or not, with restarts in between."""
    stages = Stages(logs, arrived, rule)
    left = {partition: len(log) for partition, log in enumerate(logs)}
    while left:
        signals = []
        for _ in range(chance.randint(1, 3)):
            if left:
                partition, most = chance.choice(sorted(left)), chance.choice([1, 7, 40])
                signals += stages.go_on(partition, most)
                left[partition] -= most
                left = {name: rest for name, rest in left.items() if rest > 0}
        stages.take(signals)
        if chance.random() < 0.1:
            stages.start()
    return stages.rows()


def still_open(found: set[Row]) -> dict[str, int]:
    """The counts of findings that are open."""
    return {row[0]: row[2] for row in found if row[1] != "resolved"}
