"""Which partitions this sink has: what Kafka gives and takes, opened before the first record is read."""

import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import Future
from functools import partial

from confluent_kafka import Consumer, TopicPartition

from keytrail.schemas.damage import DamagedPlaces
from keytrail.sinks.clickhouse.background import in_background
from keytrail.sinks.clickhouse.lanes import Lane
from keytrail.sinks.clickhouse.opening import Opened, Opening
from keytrail.sinks.clickhouse.positions import Position
from keytrail.sinks.clickhouse.tables import BY_TOPIC
from keytrail.sinks.cluster import Place

_log = logging.getLogger("keytrail.sink")


class Assignment:
    """The partitions and their lanes.  Not thread-safe: used by the thread that polls the consumer.

    A partition that Kafka gives is first opened, in the background; only then it has a lane and is read.
    """

    def __init__(
        self,
        consumer: Consumer,
        opening: Opening,
        damaged: DamagedPlaces,
        give_up: Callable[[Collection[Place]], None],
    ) -> None:
        """`give_up` is called with partitions before they are taken away, while their lanes still exist."""
        self._consumer = consumer
        self._opening = opening
        self._damaged = damaged
        self._give_up = give_up
        self._tickets: dict[Place, object] = {}
        self._pending: list[tuple[object, Future[list[Opened]]]] = []
        self.lanes: dict[Place, Lane] = {}

    def subscribe(self) -> None:
        self._consumer.subscribe(
            list(BY_TOPIC), on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )

    def advance(self) -> None:
        """Begins to read what has been opened meanwhile.  Raises what opening it raised."""
        pending, self._pending = self._pending, []
        for ticket, future in pending:
            if not future.done():
                self._pending.append((ticket, future))
                continue
            opened = [item for item in future.result() if self._tickets.get(item.place) is ticket]
            for item in opened:
                position = Position(item.start, item.claim.incarnation)
                self.lanes[item.place] = Lane(item.place, BY_TOPIC[item.place.topic], item.claim, position)
                _log.info("reads %s, partition %d, from offset %d", *item.place, item.offset)
            if opened:
                places = [TopicPartition(*item.place, item.offset) for item in opened]
                self._consumer.incremental_assign(places)
                self._consumer.resume(places)  # it may have been paused when it was here before

    def reopen(self, places: Iterable[Place]) -> None:
        """Drops what these lanes hold, and reads their partitions anew from where the tables end."""
        dropped = [place for place in places if place in self.lanes]
        self._drop(dropped)
        self._open(dropped)

    def _on_assign(self, _consumer: Consumer, given: list[TopicPartition]) -> None:
        self._consumer.incremental_assign([])
        self._open([Place(item.topic, item.partition) for item in given])

    def _on_revoke(self, _consumer: Consumer, taken: list[TopicPartition]) -> None:
        places = [Place(item.topic, item.partition) for item in taken]
        self._give_up([place for place in places if place in self.lanes])
        self._forget(places)

    def _on_lost(self, _consumer: Consumer, taken: list[TopicPartition]) -> None:
        _log.warning("lost %d partitions: Kafka did not hear of this sink in time", len(taken))
        self._forget([Place(item.topic, item.partition) for item in taken])

    def _open(self, places: Sequence[Place]) -> None:
        for topic in sorted({place.topic for place in places}):
            numbers = [place.partition for place in places if place.topic == topic]
            ticket = object()
            self._tickets.update((Place(topic, number), ticket) for number in numbers)
            work = partial(self._opening.open, BY_TOPIC[topic], numbers)
            self._pending.append((ticket, in_background(f"open-{topic}", work)))

    def _forget(self, places: Sequence[Place]) -> None:
        for place in places:
            self._tickets.pop(place, None)
        self._drop([place for place in places if place in self.lanes])

    def _drop(self, places: Sequence[Place]) -> None:
        for place in places:
            del self.lanes[place]
        self._damaged.forget(places)
        self._consumer.incremental_unassign([TopicPartition(*place) for place in places])
