"""`keytrail hold`: legal holds, which retention goes by."""

import argparse
import time

from keytrail.cli.erase import secrets_of
from keytrail.cli.moments import parse_past, show_moment
from keytrail.cli.options import connection_flags, json_flag, settings_from
from keytrail.cli.output import print_json, print_table, progress
from keytrail.cli.retention import author_flags, author_of
from keytrail.cli.retention_record import Record
from keytrail.producers.clock import system_clock
from keytrail.producers.ids import UuidV7
from keytrail.schemas.errors import UnavailableError, UsageError
from keytrail.schemas.privacy import matches
from keytrail.schemas.records import Micros
from keytrail.schemas.settings import Settings
from keytrail.sinks.clickhouse.http import ClickHouse
from keytrail.sinks.retention.holds import HOLD, PLAIN, RELEASE, Hold, read_holds

_PATIENCE_S = 60.0
_POLL_S = 0.1


def arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    add = verbs.add_parser("add", help="keep events until the hold is released; prints its id")
    add.add_argument("--subject", action="append", default=[], help="whose events; repeatable")
    add.add_argument("--of-key", action="append", default=[], metavar="ID", help="of which key; repeatable")
    add.add_argument("--since", metavar="T", help="from 2026-12-31T18:00 on, or 90d ago")
    add.add_argument("--until", metavar="T", help="what happened before")
    listed = verbs.add_parser("list", help="the holds in force")
    release = verbs.add_parser("release", help="end a hold")
    release.add_argument("hold_id", metavar="HOLD")
    for verb in (add, release):
        author_flags(verb)
    for verb in (add, listed, release):
        connection_flags(verb)
    json_flag(listed)


def run(options: argparse.Namespace) -> int:
    return {"add": _add, "list": _list, "release": _release}[options.verb](options)


def _add(options: argparse.Namespace) -> int:
    now = system_clock()
    since, until = (parse_past(text, now) if text else None for text in (options.since, options.until))
    if not (options.subject or options.of_key or since or until):
        raise UsageError("Nothing says what is held.", "Name --subject, --of-key, --since or --until.")
    settings = settings_from(options)
    record = Record(settings, author_of(options), HOLD)
    hold_id = UuidV7()()
    subjects = tuple(_as_stored(settings, name) for name in options.subject)
    hold = Hold(hold_id, subjects, tuple(options.of_key), since, until, options.reason, "", now)
    record.tell(HOLD, hold_id, hold.attributes())
    _await(settings, hold_id, in_force=True)
    print(hold_id)
    return 0


def _list(options: argparse.Namespace) -> int:
    settings = settings_from(options, needs=("clickhouse",))
    holds = read_holds(ClickHouse(settings.clickhouse, database=settings.database))
    names = ("hold", "subjects", "keys", "since", "until", "added_at", "by", "reason")
    rows = [
        (h.hold_id, h.subjects, h.keys, *map(_shown, (h.since, h.until, h.at)), h.actor, h.reason)
        for h in holds
    ]
    if options.json:
        print_json(dict(zip(names, row, strict=True)) for row in rows)
    else:
        print_table(names, rows)
    return 0


def _release(options: argparse.Namespace) -> int:
    settings = settings_from(options)
    holds = read_holds(ClickHouse(settings.clickhouse, database=settings.database))
    if options.hold_id not in {hold.hold_id for hold in holds}:
        raise UsageError(f"No hold {options.hold_id} is in force.", "See `keytrail hold list`.")
    record = Record(settings, author_of(options), RELEASE)
    record.tell(RELEASE, UuidV7()(), {f"{PLAIN}hold_id": options.hold_id})
    _await(settings, options.hold_id, in_force=False)
    progress(f"Hold {options.hold_id} is released.")
    return 0


def _await(settings: Settings, hold_id: str, *, in_force: bool) -> None:
    """Retention goes by what the table has: a hold counts from there on."""
    clickhouse = ClickHouse(settings.clickhouse, database=settings.database)
    deadline = time.monotonic() + _PATIENCE_S
    while (hold_id in {hold.hold_id for hold in read_holds(clickhouse)}) != in_force:
        if time.monotonic() > deadline:
            raise UnavailableError(
                f"The change of hold {hold_id} was sent and is not in force: it has not come to the table, "
                "or it was not signed and the hold was.",
                "See with `keytrail status` that worker and sink run, then `keytrail hold list`.",
            )
        time.sleep(_POLL_S)


def _as_stored(settings: Settings, name: str) -> str:
    """In privacy mode a person's pseudonym."""
    privacy = settings.privacy
    if not privacy.on or matches(name, privacy.services):
        return name
    return secrets_of(settings).pseudonym(name)


def _shown(at: Micros | None) -> str | None:
    return None if at is None else show_moment(at)
