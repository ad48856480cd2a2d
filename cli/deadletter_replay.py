"""`keytrail deadletter replay`: after a fix, send dead letters back to where they came from."""

import argparse
import re
from collections import Counter

from keytrail.cli.moments import parse_past
from keytrail.cli.options import connection_flags, json_flag, settings_from
from keytrail.cli.output import print_json, print_table, printable, progress
from keytrail.producers.clock import system_clock
from keytrail.producers.dead_letters import DeadLetterTopic, Letter, Place
from keytrail.producers.replay import Fate, Replayer, Selection, fates, read_log
from keytrail.schemas.errors import UsageError

_NUMBER = re.compile("[0-9]{1,18}")
_COLUMNS: dict[Fate, str] = {
    "due": "sent",
    "sent before": "sent_before",
    "cut": "not_whole",
    "not for replay": "not_for_replay",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--reason", metavar="NAME", help="of this reason only")
    parser.add_argument(
        "--place",
        action="append",
        default=[],
        metavar="TOPIC/PARTITION/OFFSET",
        help="this one, as `list` shows it; may be repeated",
    )
    parser.add_argument(
        "--since", metavar="TIME", help="set aside since 2026-12-31T18:00, or 2h: in the last two hours"
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be sent, and send nothing")
    json_flag(parser)
    connection_flags(parser)


def run(options: argparse.Namespace) -> int:
    """Exit code 1 where a place has no letter, or the topic holds what is no letter."""
    since = parse_past(options.since, system_clock()) if options.since else None
    selection = Selection(options.reason, frozenset(parse_place(text) for text in options.place), since)
    settings = settings_from(options, needs=("kafka", "registry"))
    topic = DeadLetterTopic(settings)
    replayer = None if options.dry_run else Replayer(settings.kafka, system_clock)
    if replayer:
        replayer.take_over()
    letters = fates(topic.letters(), read_log(settings.kafka), selection)
    counts: dict[str, Counter[Fate]] = {}
    missing = set(selection.places)
    for letter, fate in replayer.send(letters) if replayer else letters:
        counts.setdefault(letter.reason, Counter())[fate] += 1
        missing.discard(Letter.of(letter).place)
    _tell(options, counts)
    for place in sorted(missing):
        progress(f"There is no such dead letter of {printable(str(place))}.")
    for place in topic.unreadable:
        progress(f"{place} is no dead letter, and was left out.")
    return 1 if missing or topic.unreadable else 0


def parse_place(text: str) -> Place:
    """Raises `UsageError`."""
    topic, *numbers = text.rsplit("/", 2)
    if len(numbers) != 2 or not topic or not all(map(_NUMBER.fullmatch, numbers)):
        raise UsageError(f"{printable(text)} is no place.", "Write it as TOPIC/PARTITION/OFFSET.")
    return Place(topic, int(numbers[0]), int(numbers[1]))


def _tell(options: argparse.Namespace, counts: dict[str, Counter[Fate]]) -> None:
    rows = [
        {"reason": reason} | {column: fates[fate] for fate, column in _COLUMNS.items()}
        for reason, fates in sorted(counts.items())
    ]
    if options.json:
        print_json(rows)
    elif rows:
        print_table(list(rows[0]), ([*row.values()] for row in rows))
    sent = sum(fates["due"] for fates in counts.values())
    progress(f"{sent} records {'would be' if options.dry_run else 'were'} sent back.")
