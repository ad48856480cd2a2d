"""`keytrail import`: existing audit logs as events."""

import argparse
import sys
import time
from collections.abc import Iterable, Iterator
from io import BufferedReader
from pathlib import Path
from typing import cast

from keytrail.cli.options import connection_flags, settings_from
from keytrail.cli.output import print_json, printable, progress
from keytrail.producers.cloudtrail import Problem, read_events
from keytrail.producers.datum import flat_encoder
from keytrail.producers.fitting import fit
from keytrail.producers.publisher import EventPublisher
from keytrail.schemas import avro
from keytrail.schemas.records import Event

_DELIVERY_TIMEOUT_S = 120.0
_PROGRESS_EVERY_S = 5.0


def arguments(parser: argparse.ArgumentParser) -> None:
    sources = parser.add_subparsers(dest="source", metavar="SOURCE", required=True)
    cloudtrail = sources.add_parser(
        "cloudtrail", help="AWS CloudTrail logs", description="Send AWS CloudTrail logs as events."
    )
    cloudtrail.add_argument(
        "paths", nargs="+", type=Path, metavar="PATH", help="files, folders, .gz, or - for standard input"
    )
    cloudtrail.add_argument(
        "--dry-run", action="store_true", help="print the events as JSON lines, send nothing"
    )
    connection_flags(cloudtrail)


def run(options: argparse.Namespace) -> int:
    """Exit code 1 where a record or a file could not be read; all others are sent all the same."""
    tally = _Tally()
    stdin = cast(BufferedReader, sys.stdin.buffer)
    events = tally.counted(read_events(options.paths, stdin, tally.report))
    if options.dry_run:
        print_json(_as_sent(events))
    else:
        publisher = EventPublisher(settings_from(options), client_id="keytrail-import")
        publisher.publish_all(events)
        publisher.close(_DELIVERY_TIMEOUT_S)
    progress(f"{tally.events} events {'read' if options.dry_run else 'sent'}, {tally.problems} problems.")
    return 1 if tally.problems else 0


class _Tally:
    """Counts events and problems, and says on stderr how far the work has come."""

    def __init__(self) -> None:
        self.events = 0
        self.problems = 0
        self._next_word_at = time.monotonic() + _PROGRESS_EVERY_S

    def report(self, problem: Problem) -> None:
        self.problems += 1
        progress(printable(problem))

    def counted(self, events: Iterable[Event]) -> Iterator[Event]:
        for event in events:
            self.events += 1
            if self.events % 1000 == 0 and time.monotonic() > self._next_word_at:
                self._next_word_at = time.monotonic() + _PROGRESS_EVERY_S
                progress(f"{self.events} events so far, {self.problems} problems.")
            yield event


def _as_sent(events: Iterable[Event]) -> Iterator[dict[str, object]]:
    """As the publisher would send them: repaired and shortened where need be."""
    encode = flat_encoder(avro.parse(avro.schema_text("event")))
    return (vars(fit(event, encode)[0]) for event in events)
