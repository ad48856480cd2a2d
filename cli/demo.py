"""`keytrail demo`: the whole pipeline at work, on real engines in a scratch folder, in a minute.

Half a year of a made-up company goes in, with anomalies hidden in it; what the security team and
an analyst get to see comes out.  Ends with 1 where a hidden anomaly was not found, something was
found that is none, or an event was lost or stored twice.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from keytrail.cli.demo_story import Story
from keytrail.cli.output import print_table, printable, progress
from keytrail.cli.score import scores_now
from keytrail.deploy.embedded.commands import down, up
from keytrail.deploy.embedded.ports import Ports
from keytrail.producers.publisher import EventPublisher, KeyPublisher
from keytrail.producers.simulation import Simulation
from keytrail.producers.simulation.scoring import RuleScore, total
from keytrail.schemas.errors import KeytrailError
from keytrail.schemas.settings import Settings, load_settings
from keytrail.sinks.clickhouse.http import ClickHouse

_FREE_PORTS = Ports(0, 0, 0)
_UP = (sys.executable, "-m", "keytrail.cli.main", "up", "--no-otlp")
_DELIVERY_S = 60.0
_WAIT_S = 60.0
_POLL_S = 0.25


@dataclass(frozen=True)
class Question:
    """Something an analyst asks, and the SQL that answers it."""

    text: str
    sql: str


QUESTIONS = (
    Question(
        "Who was given privileged roles, by whom, with which key, and why?",
        "SELECT subject, role, actor_id AS granted_by, key_owner, ifNull(nullIf(reason, ''), '-') AS why"
        " FROM events WHERE action = 'grant' AND outcome = 'success' AND role ILIKE '%admin%'"
        " ORDER BY occurred_at DESC LIMIT 5",
    ),
    Question(
        "Which teams change access most, and how much of it says why?",
        "SELECT attributes['team'] AS team, count() AS changes, uniqExact(subject) AS subjects,"
        " round(100 * countIf(reason != '' OR ticket != '') / count(), 1) AS percent_with_reason"
        " FROM events WHERE action IN ('grant', 'revoke') AND outcome = 'success'"
        " GROUP BY team ORDER BY changes DESC LIMIT 5",
    ),
    Question(
        "What was tried with keys that should not work any more?",
        "SELECT key_id, key_status, key_owner, count() AS uses, countIf(outcome = 'denied') AS denied"
        " FROM events WHERE key_status IN ('revoked', 'expired', 'suspended')"
        " GROUP BY 1, 2, 3 ORDER BY uses DESC, key_id LIMIT 5",
    ),
)


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--events", type=int, default=20_000, metavar="N", help="size of the scenario (%(default)s)"
    )
    parser.add_argument(
        "--seed", type=int, default=7, metavar="S", help="another seed, another company (%(default)s)"
    )


def run(options: argparse.Namespace) -> int:
    simulation = Simulation(options.events, options.seed)
    with tempfile.TemporaryDirectory(prefix="keytrail-demo-") as scratch, _stack(Path(scratch)) as settings:
        return Demo(settings, options.events, simulation).run()


@contextmanager
def _stack(data_dir: Path) -> Iterator[Settings]:
    _say("Starting Kafka, the schema registry, ClickHouse, a worker and a sink")
    if up(data_dir, _FREE_PORTS, True, (), lambda _: None, _UP) != 0:
        raise KeytrailError("The stack did not start.", "The lines above say why.")
    try:
        yield load_settings(data_dir=data_dir)
    finally:
        down(data_dir)


class Demo:
    def __init__(self, settings: Settings, events: int, simulation: Simulation) -> None:
        self._settings = settings
        self._events = events
        self._simulation = simulation
        self._clickhouse = ClickHouse(settings.clickhouse, database=settings.database)

    def run(self) -> int:
        sent, seconds = self._send()
        scores = self._wait_for_findings(sent)
        self._show_scores(scores)
        self._show_findings()
        self._show_answers()
        story_found = Story(self._settings, self._clickhouse).tell()
        return self._close_the_books(sent, seconds, scores, story_found)

    def _send(self) -> tuple[int, float]:
        keys = self._simulation.keys()
        truth = [label for label in self._simulation.truth() if label.expected]
        _say(
            f"Sending half a year of a made-up company: {len(keys)} keys, {self._events} events, "
            f"{len(truth)} anomalies hidden in them"
        )
        started = time.monotonic()
        key_publisher = KeyPublisher(self._settings)
        for key in keys:
            key_publisher.publish(key, wait=True)
        key_publisher.close(_DELIVERY_S)
        publisher = EventPublisher(self._settings)
        sent = publisher.publish_all(self._simulation.events())
        publisher.close(_DELIVERY_S)
        return sent, time.monotonic() - started

    def _wait_for_findings(self, sent: int) -> list[RuleScore]:
        """The scores once every event is in the table, every anomaly is found and nothing else, or after a
        minute."""
        deadline = time.monotonic() + _WAIT_S
        while True:
            scores = scores_now(self._simulation.truth(), self._clickhouse, self._settings.database)
            overall = total(scores)
            if self._stored()[0] >= sent and not overall.missed and not overall.wrong:
                return scores
            if time.monotonic() > deadline:
                return scores
            time.sleep(_POLL_S)

    def _stored(self) -> tuple[int, int]:
        [row] = self._clickhouse.rows("SELECT count() AS stored, uniqExact(event_id) AS ids FROM events")
        return int(str(row["stored"])), int(str(row["ids"]))

    def _show_scores(self, scores: Iterable[RuleScore]) -> None:
        _say("What was hidden, and what was found")
        print_table(
            ("rule", "hidden", "found", "false alarms", "near misses left alone"),
            [
                (
                    score.rule,
                    score.expected,
                    len(score.found),
                    len(score.wrong),
                    self._near_misses(score.rule) - len(score.near_misses),
                )
                for score in scores
            ],
        )

    def _near_misses(self, rule: str) -> int:
        return sum(1 for label in self._simulation.truth() if label.rule == rule and not label.expected)

    def _show_findings(self) -> None:
        _say("What the security team sees: keytrail anomalies")
        rows = self._clickhouse.rows(
            "SELECT severity, rule, summary, remedy, count FROM anomalies_current"
            " WHERE status NOT IN ('resolved', 'closed')"
            " ORDER BY indexOf(['critical', 'high', 'medium', 'low'], severity), rule, entity"
            " LIMIT 1 BY rule LIMIT 6"
        )
        for row in rows:
            print(f"{str(row['severity']).upper():<9} {row['rule']}")
            print(f"          {printable(row['summary'])}")
            print(f"          -> {printable(row['remedy'])}")

    def _show_answers(self) -> None:
        _say("What an analyst asks: keytrail sql")
        for question in QUESTIONS:
            print(f"\n{question.text}")
            rows = self._clickhouse.rows(question.sql)
            columns = list(rows[0]) if rows else ["no rows"]
            print_table(columns, [[row[column] for column in columns] for row in rows])

    def _close_the_books(self, sent: int, seconds: float, scores: list[RuleScore], story_found: bool) -> int:
        _say("The books")
        stored, distinct = self._stored()
        sent += Story.EVENTS
        overall = total(scores)
        checks = {
            f"{sent} events sent, {stored} rows stored, {distinct} distinct": sent == stored == distinct,
            f"{overall.expected} anomalies hidden, {len(overall.found)} found": not overall.missed,
            f"{len(overall.wrong)} false alarms": not overall.wrong,
            "a revoked key's use was found while we watched": story_found,
        }
        for what, fine in checks.items():
            print(f"{'ok  ' if fine else 'FAIL'}  {what}")
        progress(f"The events were sent in {seconds:.1f} s.")
        return 0 if all(checks.values()) else 1


def _say(text: str) -> None:
    bold, plain = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")
    print(f"\n{bold}== {text}{plain}", flush=True)
