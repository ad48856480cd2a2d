"""`keytrail keys`: issue, suspend, revoke, show and list provisioning keys.

Each change is itself an audited event.  The event is delivered before the key is changed: a
change without an event could never be found, an event without a change shows as such.
"""

import argparse
import getpass
from ipaddress import ip_network

from keytrail.cli.moments import parse_moment, show_moment
from keytrail.cli.options import connection_flags, json_flag, settings_from
from keytrail.cli.output import print_json, print_table, progress
from keytrail.producers.clock import system_clock
from keytrail.producers.ids import UuidV7
from keytrail.producers.key_changes import KeyChangeError, revoked, suspended
from keytrail.producers.key_log import KeyLog, read_keys
from keytrail.producers.publisher import EventPublisher, KeyPublisher
from keytrail.schemas.errors import UsageError
from keytrail.schemas.records import Event, Key, Micros
from keytrail.schemas.settings import Settings
from keytrail.stream.hours import parse_hours

_DELIVERY_TIMEOUT_S = 30.0
_CHANGES = {"suspend": suspended, "revoke": revoked}


def arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)

    issue = verbs.add_parser("issue", help="make a key; prints its id")
    issue.add_argument("--id", metavar="ID", help="default: a new one")
    issue.add_argument("--owner", required=True, metavar="NAME", help="the person or service it is tied to")
    issue.add_argument("--kind", required=True, choices=("human", "service"))
    issue.add_argument("--team", metavar="NAME", help="the team that answers for it")
    issue.add_argument("--expires", metavar="WHEN", help="2026-12-31, 90d, 12h; default: never")
    for scope, what in _SCOPES.items():
        issue.add_argument(f"--scope-{scope}", action="append", default=[], metavar="A,B", help=what)
    issue.add_argument("--scope-hours", metavar="HOURS", help='such as "Mon-Fri 08:00-18:00 Europe/Berlin"')
    issue.add_argument("--break-glass", action="store_true", help="for emergencies: each use is looked at")
    issue.add_argument(
        "--alias", action="append", default=[], metavar="HASH", help="hash of a token; repeatable"
    )
    _change_flags(issue)

    for verb, what in (("suspend", "switch a key off for a time"), ("revoke", "end a key for good")):
        change = verbs.add_parser(verb, help=what)
        change.add_argument("id", metavar="ID")
        _change_flags(change)

    show = verbs.add_parser("show", help="one key, all of it")
    show.add_argument("id", metavar="ID")
    for reading in (show, verbs.add_parser("list", help="all keys")):
        json_flag(reading)
        connection_flags(reading)


_SCOPES = {
    "actions": "actions it may do, as patterns; default: any",
    "roles": "roles it may grant or use, as patterns",
    "resources": "resources it may touch, as patterns",
    "environments": "environments it may be used in",
    "networks": "networks it may be used from, as 10.0.0.0/8",
}


def _change_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--reason", required=True, metavar="TEXT")
    parser.add_argument("--ticket", metavar="ID")
    parser.add_argument("--actor", metavar="NAME", help="who does this; default: the user of this machine")
    parser.add_argument("--key", metavar="ID", help="the key that this is done with")
    connection_flags(parser)


def run(options: argparse.Namespace) -> int:
    settings = settings_from(options)
    match options.verb:
        case "issue":
            return _issue(options, settings)
        case "suspend" | "revoke":
            return _change(options, settings)
        case "show":
            return _show(options, read_keys(settings))
        case _:
            return _list(options, read_keys(settings))


def _issue(options: argparse.Namespace, settings: Settings) -> int:
    now = system_clock()
    key = _new_key(options, now)
    known = read_keys(settings)
    if key.key_id in known.keys or key.key_id in known.unreadable:
        raise KeyChangeError(f"There is already a key {key.key_id}.", "Choose another id.")
    event = _event("issue_key", options, key, now, attribute="new_key")
    _publish(settings, event, key)
    print(key.key_id)
    return 0


def _change(options: argparse.Namespace, settings: Settings) -> int:
    now = system_clock()
    change = _CHANGES[options.verb]
    key = change(read_keys(settings).get(options.id), by=_actor(options), reason=options.reason, now=now)
    _publish(settings, _event(f"{options.verb}_key", options, key, now, attribute="affected_key"), key)
    progress(f"Key {key.key_id} of {key.owner} is {key.status}.")
    return 0


def _new_key(options: argparse.Namespace, now: Micros) -> Key:
    networks = _words(options.scope_networks)
    for network in networks:
        try:
            ip_network(network, strict=False)
        except ValueError as error:
            raise UsageError(f"{network!r} is not a network.", "Write it as 10.0.0.0/8.") from error
    if options.scope_hours:
        parse_hours(options.scope_hours)
    expires_at = parse_moment(options.expires, now) if options.expires else None
    if expires_at is not None and expires_at <= now:
        raise UsageError("The key would be expired from the start.", "Give --expires a later time.")
    return Key(
        key_id=options.id or f"key-{UuidV7()()}",
        version=1,
        kind=options.kind,
        owner=options.owner,
        team=options.team,
        status="active",
        issued_at=now,
        expires_at=expires_at,
        scope_actions=_words(options.scope_actions),
        scope_roles=_words(options.scope_roles),
        scope_resources=_words(options.scope_resources),
        scope_environments=_words(options.scope_environments),
        scope_networks=networks,
        scope_hours=options.scope_hours,
        break_glass=options.break_glass,
        parent_key=options.key,
        aliases=options.alias,
        changed_by=_actor(options),
        reason=options.reason,
        changed_at=now,
    )


def _words(given: list[str]) -> list[str]:
    return [word.strip() for item in given for word in item.split(",") if word.strip()]


def _actor(options: argparse.Namespace) -> str:
    return options.actor or getpass.getuser()


def _event(action: str, options: argparse.Namespace, key: Key, now: Micros, *, attribute: str) -> Event:
    return Event(
        event_id=UuidV7()(),
        occurred_at=now,
        recorded_at=now,
        service="keytrail",
        environment=None,
        actor_id=_actor(options),
        actor_type="human",
        key_id=options.key,
        key_alias=None,
        action=action,
        subject=key.owner,
        resource="provisioning key",
        reason=options.reason,
        ticket=options.ticket,
        attributes={attribute: key.key_id} | ({"team": key.team} if key.team else {}),
    )


def _publish(settings: Settings, event: Event, key: Key) -> None:
    events = EventPublisher(settings, client_id="keytrail-keys")
    events.publish(event, wait=True)
    events.close(_DELIVERY_TIMEOUT_S)
    keys = KeyPublisher(settings, client_id="keytrail-keys")
    keys.publish(key, wait=True)
    keys.close(_DELIVERY_TIMEOUT_S)


def _show(options: argparse.Namespace, known: KeyLog) -> int:
    row = _row(known.get(options.id), system_clock())
    if options.json:
        print_json([row])
    else:
        print_table(("field", "value"), [(name, value) for name, value in row.items() if value])
    return 0


def _list(options: argparse.Namespace, known: KeyLog) -> int:
    """Exit code 1 where some key's record cannot be read."""
    now = system_clock()
    keys = sorted(known.keys.values(), key=lambda key: (key.owner, key.issued_at))
    if options.json:
        print_json(_row(key, now) for key in keys)
    else:
        columns = ("key_id", "owner", "kind", "team", "status", "issued_at", "expires_at")
        rows = (_row(key, now) for key in keys)
        print_table(columns, ([row[name] for name in columns] for row in rows))
    for key_id in known.unreadable:
        progress(f"The latest record of key {key_id} cannot be read.")
    return 1 if known.unreadable else 0


def _row(key: Key, now: Micros) -> dict[str, object]:
    """The key's fields, its times as text, and its status as of `now`."""
    row: dict[str, object] = {
        name: show_moment(value) if name.endswith("_at") else value for name, value in vars(key).items()
    }
    if key.status == "active" and key.expires_at is not None and key.expires_at <= now:
        row["status"] = "expired"
    return row
