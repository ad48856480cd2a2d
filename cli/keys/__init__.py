"""`keytrail keys`: the life of provisioning keys.

Each change is written together with an audited event, which names the admin's key it was made with.
"""

import argparse
import getpass

from keytrail.cli.keys import edits, importing, showing
from keytrail.cli.keys.admin import Admin
from keytrail.cli.options import connection_flags, json_flag, settings_from
from keytrail.producers.key_log import read_keys
from keytrail.schemas.masters import MasterFile
from keytrail.schemas.settings import Settings

_SCOPES = {
    "actions": "actions it may do, as patterns; default: any",
    "roles": "roles it may grant or use, as patterns",
    "resources": "resources it may touch, as patterns",
    "environments": "environments it may be used in",
    "networks": "networks it may be used from, as 10.0.0.0/8",
}
_ENGINES = ("kafka", "registry")


def arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)

    issue = verbs.add_parser("issue", help="make a key; prints its id")
    issue.add_argument("--id", metavar="ID", help="default: a new one")
    _key_flags(issue)
    _secret_flag(issue)
    _change_flags(issue)

    adopt = verbs.add_parser("adopt", help="register a key that was discovered in events")
    adopt.add_argument("id", metavar="ID")
    _key_flags(adopt)
    _change_flags(adopt)

    rotate = verbs.add_parser("rotate", help="replace a key by a new one with the same rights; prints its id")
    rotate.add_argument("id", metavar="ID")
    rotate.add_argument(
        "--overlap", default="24h", metavar="TIME", help="how long both keys work (%(default)s)"
    )
    _secret_flag(rotate)
    _change_flags(rotate)

    secret = verbs.add_parser("secret", help="make a key's signing secret, or a new one; shown this once")
    secret.add_argument("id", metavar="ID")
    secret.add_argument(
        "--overlap", default="24h", metavar="TIME", help="how long the one before still works (%(default)s)"
    )
    _change_flags(secret)

    for verb, what in edits.SWITCHES.items():
        change = verbs.add_parser(verb, help=what)
        change.add_argument("id", metavar="ID")
        _change_flags(change)

    bulk = verbs.add_parser("import", help="register many keys from CSV or JSON lines")
    bulk.add_argument("file", metavar="FILE", help="name.csv or name.jsonl; - reads JSON lines from stdin")
    bulk.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    _change_flags(bulk)

    show = verbs.add_parser("show", help="one key, all of it")
    show.add_argument("id", metavar="ID")
    listing = verbs.add_parser("list", help="all keys")
    listing.add_argument(
        "--discovered", action="store_true", help="keys that events name and nobody registered"
    )
    for reading in (show, listing):
        json_flag(reading)
        connection_flags(reading)

    master = verbs.add_parser("master", help="make a new master secret: from now on secrets derive from it")
    connection_flags(master)


def run(options: argparse.Namespace) -> int:
    match options.verb:
        case "show":
            return showing.show(read_keys(_settings(options)), options.id, options.json)
        case "list" if options.discovered:
            return showing.list_discovered(settings_from(options, ("clickhouse",)), options.json)
        case "list":
            return showing.list_keys(read_keys(_settings(options)), options.json)
        case "master":
            print(MasterFile(settings_from(options, ()).masters).add())
            return 0
        case "adopt":
            return _change(options, settings_from(options))
        case _:
            return _change(options, _settings(options))


def _change(options: argparse.Namespace, settings: Settings) -> int:
    actor = options.actor or getpass.getuser()
    why = edits.Why(actor, options.reason, options.ticket, options.if_version)
    desk = edits.Desk(settings, Admin(settings, actor, options.key), why)
    match options.verb:
        case "issue":
            return desk.issue(edits.new_key(options, options.id, actor), with_secret=options.secret)
        case "adopt":
            return desk.adopt(edits.new_key(options, options.id, actor))
        case "rotate":
            return desk.rotate(options.id, edits.overlap(options.overlap), with_secret=options.secret)
        case "secret":
            return desk.make_secret(options.id, edits.overlap(options.overlap))
        case "import":
            return importing.run(desk, options.file, actor, options.reason, dry_run=options.dry_run)
        case _:
            return desk.switch(options.verb, options.id)


def _settings(options: argparse.Namespace) -> Settings:
    return settings_from(options, _ENGINES)


def _key_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--owner", required=True, metavar="NAME", help="the person or service it is tied to")
    parser.add_argument("--kind", required=True, choices=("human", "service"))
    parser.add_argument("--team", metavar="NAME", help="the team that answers for it")
    parser.add_argument("--expires", metavar="WHEN", help="2026-12-31, 90d, 12h; default: never")
    for scope, what in _SCOPES.items():
        parser.add_argument(f"--scope-{scope}", action="append", default=[], metavar="A,B", help=what)
    parser.add_argument("--scope-hours", metavar="HOURS", help='such as "Mon-Fri 08:00-18:00 Europe/Berlin"')
    parser.add_argument("--break-glass", action="store_true", help="for emergencies: each use is looked at")
    parser.add_argument(
        "--alias", action="append", default=[], metavar="HASH", help="hash of a token; repeatable"
    )
    parser.add_argument(
        "--label", action="append", default=[], metavar="NAME=TEXT", help="anything else; repeatable"
    )


def _secret_flag(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--secret", action="store_true", help="print its signing secret too, on a second line, this once"
    )


def _change_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--reason", required=True, metavar="TEXT")
    parser.add_argument("--ticket", metavar="ID")
    parser.add_argument("--actor", metavar="NAME", help="who does this; default: the user of this machine")
    parser.add_argument("--key", metavar="ID", help="the admin's key that this is done with")
    parser.add_argument(
        "--if-version", type=int, metavar="N", help="only if the key is at this version still"
    )
    connection_flags(parser)
