"""`keytrail emit`: one event by hand."""

import argparse
from collections.abc import Iterable

from keytrail.cli.moments import parse_moment
from keytrail.cli.options import connection_flags, settings_from
from keytrail.producers.clock import system_clock
from keytrail.producers.ids import UuidV7
from keytrail.producers.publisher import EventPublisher
from keytrail.schemas.errors import UsageError
from keytrail.schemas.records import Event

DELIVERY_TIMEOUT_S = 30.0


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", metavar="ACTION", help="grant, revoke, use, login, create, ...")
    parser.add_argument("--key", metavar="ID", help="the provisioning key it was done with")
    parser.add_argument("--actor", required=True, metavar="NAME", help="who acted")
    parser.add_argument(
        "--actor-type", default="human", metavar="TYPE", help="human (default), service, system"
    )
    parser.add_argument("--subject", metavar="NAME", help="whose access it is about; without it, the actor's")
    parser.add_argument("--role", metavar="NAME")
    parser.add_argument("--permission", action="append", default=[], metavar="P", help="may be repeated")
    parser.add_argument("--resource", metavar="NAME")
    parser.add_argument("--reason", metavar="TEXT")
    parser.add_argument("--ticket", metavar="ID")
    parser.add_argument("--approved-by", metavar="NAME")
    parser.add_argument("--expires", metavar="WHEN", help="end of a temporary grant: 2026-12-31, 90d, 12h")
    parser.add_argument("--occurred-at", metavar="WHEN", help="default: now")
    parser.add_argument(
        "--service", default="keytrail-emit", metavar="NAME", help="the service that reports it"
    )
    parser.add_argument("--environment", metavar="NAME")
    parser.add_argument(
        "--outcome", default="success", metavar="WORD", help="success (default), failure, denied"
    )
    parser.add_argument("--error", metavar="TEXT")
    parser.add_argument("--source-ip", metavar="ADDRESS")
    parser.add_argument("--correlation-id", metavar="ID")
    parser.add_argument(
        "--attribute", action="append", default=[], metavar="NAME=TEXT", help="may be repeated"
    )
    connection_flags(parser)


def run(options: argparse.Namespace) -> int:
    """Prints the event's id once Kafka has it."""
    event = _event(options)
    publisher = EventPublisher(settings_from(options), client_id="keytrail-emit")
    publisher.publish(event, wait=True)
    publisher.close(DELIVERY_TIMEOUT_S)
    print(event.event_id)
    return 0


def _event(options: argparse.Namespace) -> Event:
    now = system_clock()
    return Event(
        event_id=UuidV7()(),
        occurred_at=parse_moment(options.occurred_at, now) if options.occurred_at else now,
        recorded_at=now,
        service=options.service,
        environment=options.environment,
        actor_id=options.actor,
        actor_type=options.actor_type,
        key_id=options.key,
        key_alias=None,
        action=options.action,
        subject=options.subject,
        role=options.role,
        permissions=options.permission,
        resource=options.resource,
        reason=options.reason,
        ticket=options.ticket,
        approved_by=options.approved_by,
        expires_at=parse_moment(options.expires, now) if options.expires else None,
        outcome=options.outcome,
        error=options.error,
        source_ip=options.source_ip,
        correlation_id=options.correlation_id,
        attributes=_pairs(options.attribute),
    )


def _pairs(given: Iterable[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for item in given:
        name, equals, value = item.partition("=")
        if not name or not equals:
            raise UsageError(f"--attribute {item!r} is not NAME=TEXT.")
        pairs[name] = value
    return pairs
