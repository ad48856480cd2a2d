"""`keytrail checkpoints`: what was signed, and the keys it was signed with."""

import argparse
from pathlib import Path

from keytrail.cli.moments import show_moment
from keytrail.cli.notary import now
from keytrail.cli.options import connection_flags, json_flag, settings_from
from keytrail.cli.output import print_json, print_table
from keytrail.schemas.settings import Settings
from keytrail.sinks.clickhouse.http import ClickHouse
from keytrail.sinks.proof.checkpoint import Checkpoint
from keytrail.sinks.proof.keyring import KeyringFile
from keytrail.sinks.proof.store import ProofTables
from keytrail.sinks.proof.trust import Trust, read_trust


def arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    listing = verbs.add_parser("list", help="the newest checkpoint of each log")
    listing.add_argument("--notes", action="store_true", help="as signed notes, for a file outside")
    json_flag(listing)
    trust_flag(listing)
    connection_flags(listing)
    keys = verbs.add_parser("keys", help="the public keys: what an auditor is given to verify with")
    connection_flags(keys)
    rotate = verbs.add_parser("rotate", help="make a new signing key; the one before signs the change")
    connection_flags(rotate)


def trust_flag(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--trust", type=Path, metavar="FILE", help="keys to believe (default: the public half of our own)"
    )


def trust_of(options: argparse.Namespace, settings: Settings) -> Trust:
    """The keys to begin with.  Raises `UsageError`."""
    return (
        read_trust(options.trust) if options.trust else KeyringFile(settings.checkpoint_keys).current().trust
    )


def run(options: argparse.Namespace) -> int:
    match options.verb:
        case "list":
            return _list(options)
        case "rotate":
            KeyringFile(settings_from(options, ()).checkpoint_keys).rotate(now())
    for key in KeyringFile(settings_from(options, ()).checkpoint_keys).current().trust.keys:
        print(key.text)
    return 0


def _list(options: argparse.Namespace) -> int:
    settings = settings_from(options, ("clickhouse",))
    tables = ProofTables(ClickHouse(settings.clickhouse, database=settings.database))
    trust = trust_of(options, settings)
    trust.follow(tables.handovers())
    notes = [entry.note for log in tables.logs() if (entry := tables.newest(log))]
    found = [trust.open(note) for note in notes]
    if options.notes:
        print("\n".join(notes), end="")
    elif options.json:
        print_json(map(_row, found))
    else:
        names = ("log", "records", "before", "at", "root")
        print_table(names, ([_row(checkpoint)[name] for name in names] for checkpoint in found))
    return 0


def _row(checkpoint: Checkpoint) -> dict[str, object]:
    return {
        "log": checkpoint.log.origin,
        "records": checkpoint.size,
        "before": checkpoint.before,
        "at": show_moment(checkpoint.at),
        "root": checkpoint.root.hex(),
    }
