"""Where reading a partition begins: claims it, and compares what is stored with what was committed."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from keytrail.schemas.errors import UnavailableError
from keytrail.sinks.clickhouse.claims import Claim, Claims, Stored
from keytrail.sinks.clickhouse.incarnations import Incarnations
from keytrail.sinks.clickhouse.patience import Patience
from keytrail.sinks.clickhouse.positions import Committed, Start
from keytrail.sinks.clickhouse.tables import Table
from keytrail.sinks.cluster import Cluster, Place, TopicState

_log = logging.getLogger("keytrail.sink")


@dataclass(frozen=True)
class Opened:
    """A partition that may be read and inserted; `offset` is the first to be read."""

    place: Place
    claim: Claim
    start: Start
    offset: int


class Opening:
    """Opens partitions.  Thread-safe."""

    def __init__(
        self,
        cluster: Cluster,
        incarnations: Incarnations,
        claims: Claims,
        group: str,
        clock: Callable[[], float],
        patience: Patience,
    ) -> None:
        self._cluster = cluster
        self._incarnations = incarnations
        self._claims = claims
        self._group = group
        self._clock = clock
        self._patience = patience

    def open(self, table: Table, partitions: Sequence[int]) -> list[Opened]:
        """Those of the partitions that exist, claimed; waits for Kafka and ClickHouse as long as it takes.

        Raises `StoppedError`, and `RefusedError` for what trying again does not mend.
        """
        topic = table.topic.name
        # Each question is asked until it is answered, so that many of them get through bad times too.
        ask = partial(self._patience.until_answered, topic)
        state = ask(lambda: self._state(topic))
        existing = [number for number in partitions if number < state.partitions]
        places = [Place(topic, number) for number in existing]
        claims = ask(lambda: self._claims.claim(state.incarnation, existing))
        blocks = ask(lambda: self._claims.newest_blocks(table.name, state.incarnation, existing))
        stored = {
            number: Stored(block, ask(partial(self._claims.offsets, table.name, claims[number], block)))
            for number, block in blocks.items()
        }
        committed = ask(lambda: self._cluster.committed(self._group, places))
        begins = ask(lambda: self._cluster.beginnings(places))
        opened = []
        for place in places:
            commit = committed.get(place)
            note = Committed.read(commit.offset, commit.note) if commit else None
            start = Start.after(stored.get(place.partition), note, state.incarnation)
            missed = max(start.stored, default=(start.offset or 0) - 1) + 1
            if missed < begins[place] and not table.deletes:
                _log.error(
                    "%s, partition %d: offsets %d to %d were deleted from Kafka before they were stored",
                    *(topic, place.partition, missed, begins[place] - 1),
                )
            offset = max(start.offset or 0, begins[place])
            opened.append(Opened(place, claims[place.partition], start, offset))
        return opened

    def _state(self, topic: str) -> TopicState:
        state = self._incarnations.since(self._clock()).get(topic)
        if state is None:
            raise UnavailableError(f"The topic {topic} does not exist.", "Create it with `keytrail prepare`.")
        return state
