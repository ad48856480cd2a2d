"""The whole embedded stack: how long simulated events take from the topic into the table."""

import tempfile
import time
from pathlib import Path

from benchmarks.measure import Result
from keytrail.deploy.embedded.commands import down, up
from keytrail.deploy.embedded.ports import Ports
from keytrail.producers.publisher import EventPublisher, KeyPublisher
from keytrail.producers.simulation import Simulation
from keytrail.schemas.errors import KeytrailError
from keytrail.schemas.settings import Settings, load_settings
from keytrail.sinks.clickhouse.http import ClickHouse

EVENTS = 200_000
_TIMEOUT_S = 600.0


def run() -> Result:
    with tempfile.TemporaryDirectory(prefix="keytrail-bench-") as scratch:
        data_dir = Path(scratch)
        if up(data_dir, Ports(0, 0, 0), True, (), lambda _: None) != 0:
            raise KeytrailError("The stack did not start.", "The lines above say why.")
        try:
            return _drain(load_settings(data_dir=data_dir))
        finally:
            down(data_dir)


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
