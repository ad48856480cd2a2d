"""A running pipeline as the tests see it: what they send, wait for and read back."""

import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from waiting import wait_until
from world import World

from keytrail.cli.main import main
from keytrail.producers.simulation.scoring import PASSING
from keytrail.schemas.records import Anomaly, Event, Key
from keytrail.schemas.settings import Settings
from keytrail.sinks.clickhouse.http import ClickHouse


@dataclass(frozen=True)
class FindingRow:
    """A finding's current state, without what depends on when it was told."""

    rule: str
    entity: str
    cause: str
    is_open: bool
    count: int
    evidence: tuple[str, ...]


@dataclass(frozen=True)
class RunningPart:
    process: "subprocess.Popen[bytes]"
    log: Path


@contextmanager
def running_part(
    name: str, data_dir: Path, *flags: str, program: Sequence[str] = ("-m", "keytrail.cli.main")
) -> Iterator[RunningPart]:
    """A worker or sink of the test's own, which ends at the end."""
    log = data_dir / f"{name}-of-test.log"
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, *program, name, "--data-dir", str(data_dir), *flags], stderr=out
        )
    try:
        yield RunningPart(process, log)
    finally:
        process.terminate()
        process.wait(30)


def expected_findings(keys: Iterable[Key], events: Iterable[Event]) -> set[FindingRow]:
    """What the stream's own core finds in these events, run in this process, in order."""
    every = list(events)
    latest = max(event.occurred_at for event in every)
    world = World(keys, clock=lambda: latest)
    world.send(*every, batch=5000)
    return finding_rows(world.current().values())


def finding_rows(anomalies: Iterable[Anomaly]) -> set[FindingRow]:
    return {
        FindingRow(a.rule, a.entity, a.cause, a.status != "resolved", a.count, tuple(a.evidence))
        for a in anomalies
    }


def lasting(findings: Iterable[FindingRow]) -> set[FindingRow]:
    """Without what is over by now and may have been seen or not.

    Where months of events are read at once, partitions are not at the same day: what a team's median passes
    through differs from run to run, and what a key did in between may come later.  What holds in the end does
    not differ (decisions 004 and 025).
    """
    return {found for found in findings if found.is_open or found.rule not in {*PASSING, "role_sprawl"}}


class Pipeline:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.clickhouse = ClickHouse(settings.clickhouse, database=settings.database)

    @property
    def data_dir(self) -> Path:
        return self.settings.data_dir

    def command(self, *arguments: str) -> int:
        """Run a `keytrail` command against this pipeline."""
        return main([*arguments, "--data-dir", str(self.data_dir)])

    def rows(self) -> tuple[int, int]:
        """Rows in `events`, and distinct event ids."""
        [row] = self.clickhouse.rows("SELECT count() AS stored, uniqExact(event_id) AS ids FROM events")
        return int(str(row["stored"])), int(str(row["ids"]))

    def wait_for_rows(self, count: int) -> None:
        wait_until(lambda: self.rows()[0] >= count, lambda: f"{self.rows()} rows of {count}")

    def findings(self) -> set[FindingRow]:
        rows = self.clickhouse.rows(
            "SELECT rule, entity, cause, status, count, evidence FROM anomalies_current"
        )
        return {
            FindingRow(
                str(row["rule"]),
                str(row["entity"]),
                str(row["cause"]),
                row["status"] != "resolved",
                int(str(row["count"])),
                tuple(row["evidence"]),  # type: ignore[arg-type]
            )
            for row in rows
        }

    def wait_for_findings(self, expected: Iterable[FindingRow]) -> None:
        """Wait until the findings are these; counts may come a moment after the events."""
        awaited = lasting(expected)

        def difference() -> str:
            found = lasting(self.findings())
            missing, more = (sorted(map(str, some))[:5] for some in (awaited - found, found - awaited))
            return f"missing: {missing}, more: {more}"

        wait_until(lambda: lasting(self.findings()) == awaited, difference)
