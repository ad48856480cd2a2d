"""`keytrail simulate`: a made-up company's traffic with known anomalies in it."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TextIO

from keytrail.cli.options import connection_flags, settings_from
from keytrail.cli.output import progress
from keytrail.producers.publisher import EventPublisher, KeyPublisher
from keytrail.producers.signing import Sign, unsigned
from keytrail.producers.simulation import DEFAULT_START, Simulation
from keytrail.producers.simulation.truth import write_truth
from keytrail.schemas.avro import as_mapping
from keytrail.schemas.errors import KeytrailError, UsageError
from keytrail.schemas.masters import MasterFile
from keytrail.schemas.records import Event, Key
from keytrail.schemas.settings import Settings

_DELIVERY_TIMEOUT_S = 120.0
_PROGRESS_EVERY_S = 5.0
_CLIENT = "keytrail-simulate"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--events", type=int, required=True, metavar="N", help="how many, exactly")
    parser.add_argument(
        "--seed", type=int, required=True, metavar="S", help="the same seed gives the same events"
    )
    parser.add_argument(
        "--truth", type=Path, metavar="FILE", help="write what is to be found there, as JSON lines"
    )
    parser.add_argument(
        "--policy",
        type=Path,
        metavar="FILE",
        help="write the company's own policy there, and hide what only that finds, too",
    )
    parser.add_argument(
        "--start", type=_date, default=DEFAULT_START, metavar="DATE", help="first day; default: %(default)s"
    )
    parser.add_argument("--rate", type=float, metavar="EVENTS_PER_S", help="default: as fast as it goes")
    parser.add_argument(
        "--anomalies", action=argparse.BooleanOptionalAction, default=True, help="default: with anomalies"
    )
    parser.add_argument(
        "--out",
        metavar="FILE",
        help="write keys and events as JSON lines (- for standard output), send nothing",
    )
    connection_flags(parser)


def run(options: argparse.Namespace) -> int:
    """Sends the keys, then the events, and writes the truth file once everything is delivered."""
    if options.rate is not None and not options.rate > 0:
        raise UsageError("--rate must be more than 0.")
    for path in (options.truth, options.policy):
        if path is not None and not path.absolute().parent.is_dir():
            raise UsageError(f"There is no folder {path.absolute().parent}.", "Make it first.")
    settings = None if options.out else settings_from(options)
    simulation = Simulation(
        *(options.events, options.seed, options.start),
        anomalies=options.anomalies,
        own_policy=options.policy is not None,
    )
    sign: Sign = unsigned
    if settings is not None and options.policy is not None:
        sign = simulation.signer(MasterFile(settings.masters).current())
    if options.policy is not None:
        with _opened(str(options.policy)) as file:
            file.write(simulation.policy())
    keys = simulation.keys()
    events = _reported(simulation.events(), options.events)
    if options.rate is not None:
        events = paced(events, options.rate)
    if settings is None:
        _write(keys, events, options.out)
    else:
        _send(keys, events, sign, settings, one_by_one=options.rate is not None)
    progress(f"{options.events} events and {len(keys)} keys {'written' if options.out else 'sent'}.")
    if options.truth is not None:
        labels = simulation.truth()
        write_truth(options.truth, labels)
        due = sum(label.expected for label in labels)
        progress(f"{due} anomalies to find and {len(labels) - due} near misses: see {options.truth}.")
    return 0


def paced(
    events: Iterable[Event],
    rate: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Event]:
    """The events, none earlier than `rate` a second allow; what fell behind is caught up on."""
    begin = clock()
    for number, event in enumerate(events):
        early = begin + number / rate - clock()
        if early > 0:
            sleep(early)
        yield event


def _send(
    keys: list[Key], events: Iterator[Event], sign: Sign, settings: Settings, *, one_by_one: bool
) -> None:
    key_publisher = KeyPublisher(settings, client_id=_CLIENT)
    key_publisher.publish_all(keys)
    key_publisher.close(_DELIVERY_TIMEOUT_S)
    publisher = EventPublisher(settings, client_id=_CLIENT, sign=sign)
    if one_by_one:
        for event in events:
            publisher.publish(event, wait=True)
    else:
        publisher.publish_all(events)
    publisher.close(_DELIVERY_TIMEOUT_S)


def _write(keys: list[Key], events: Iterator[Event], out: str) -> None:
    """Each line says which record it is: key or event.  Keys come first."""
    with _opened(out) as file:
        for key in keys:
            file.write(json.dumps({"record": "key", **as_mapping(key)}) + "\n")
        for event in events:
            file.write(json.dumps({"record": "event", **vars(event)}) + "\n")


@contextmanager
def _opened(out: str) -> Iterator[TextIO]:
    if out == "-":
        yield sys.stdout
        return
    try:
        with Path(out).open("w", encoding="utf-8") as file:
            yield file
    except OSError as error:
        raise KeytrailError(f"{out} cannot be written: {error.strerror}.", "Name another file.") from error


def _reported(events: Iterator[Event], count: int) -> Iterator[Event]:
    """The events, with a word on stderr now and then."""
    due = time.monotonic() + _PROGRESS_EVERY_S
    for number, event in enumerate(events, 1):
        if number % 1000 == 0 and time.monotonic() > due:
            due = time.monotonic() + _PROGRESS_EVERY_S
            progress(f"{number} of {count} events.")
        yield event


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no date; write it as 2026-01-05") from None
