"""The whole embedded stack: how long simulated events take from the topic into the table."""

import time

from benchmarks.measure import Result
from benchmarks.stack import running_stack
from keytrail.producers.publisher import EventPublisher, KeyPublisher
from keytrail.producers.simulation import Simulation
from keytrail.schemas.errors import KeytrailError
from keytrail.schemas.settings import Settings
from keytrail.sinks.clickhouse.http import ClickHouse

EVENTS = 200_000
_TIMEOUT_S = 600.0


def run() -> Result:
    with running_stack(workers=1, sinks=1) as settings:
        return _drain(settings)


def _drain(settings: Settings) -> Result:
    simulation = Simulation(EVENTS, seed=7)
    keys, events = KeyPublisher(settings), EventPublisher(settings)
    for key in list(simulation.keys()):
        keys.publish(key, wait=True)
    keys.close(60)
    clickhouse = ClickHouse(settings.clickhouse, database=settings.database)
    started = time.monotonic()
    events.publish_all(simulation.events())
    events.close(60)
    while (stored := int(str(clickhouse.rows("SELECT count() AS n FROM events")[0]["n"]))) < EVENTS:
        if time.monotonic() - started > _TIMEOUT_S:
            raise KeytrailError(f"Only {stored} of {EVENTS} rows arrived in {_TIMEOUT_S:.0f} s.")
        time.sleep(0.1)
    seconds = time.monotonic() - started
    return Result("end to end: simulate, send, judge, store", EVENTS, EVENTS / seconds, 0.0, 0.0)
