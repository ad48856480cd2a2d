"""`keytrail anomalies ack` and `close`: a person's decision on a finding, as an audited event.

The workers take the event as any other, so that the decision is in the log, and counts in a backtest too.
"""

import argparse
import getpass
from collections.abc import Mapping
from dataclasses import dataclass

from keytrail.cli.findings import read_current
from keytrail.cli.keys.admin import Admin
from keytrail.cli.options import connection_flags, settings_from
from keytrail.cli.output import progress
from keytrail.producers.clock import system_clock
from keytrail.producers.ids import UuidV7
from keytrail.producers.key_log import read_keys
from keytrail.producers.publisher import EventPublisher
from keytrail.producers.signing import signed_by
from keytrail.schemas.errors import KeytrailError, UsageError
from keytrail.schemas.records import Anomaly, Event, Micros
from keytrail.schemas.triage import ACKNOWLEDGE, CLOSE, STATUS_OF, attributes_of, resource_of

_LEAST_ID = 8
_DELIVERY_TIMEOUT_S = 30.0
VERBS: Mapping[str, tuple[str, str]] = {
    "ack": (ACKNOWLEDGE, "say that somebody looks after a finding: it is quiet until it is graver"),
    "close": (CLOSE, "end a finding; it opens again where more of it comes"),
}


class TriageError(KeytrailError):
    """The finding is not there, or in no state for the decision."""


@dataclass(frozen=True)
class Decision:
    """Who decides what, and why; `key_id` is the admin's key it is done with."""

    action: str
    actor: str
    key_id: str
    reason: str
    ticket: str | None


def arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="ack|close")
    for verb, (_, what) in VERBS.items():
        one = verbs.add_parser(verb, help=what, description=f"{what[0].upper()}{what[1:]}.")
        one.add_argument("id", metavar="ID", help=f"of the finding, or its first {_LEAST_ID} digits or more")
        one.add_argument("--reason", required=True, metavar="TEXT")
        one.add_argument("--ticket", metavar="ID")
        one.add_argument("--by", metavar="NAME", help="who decides; default: the user of this machine")
        one.add_argument("--key", metavar="ID", help="the admin's key that this is done with")
        connection_flags(one)


def run(options: argparse.Namespace) -> int:
    """The decision is in Kafka when this returns; the findings show it a moment later."""
    if not options.reason.strip():
        raise UsageError("The reason is empty.", "Say with --reason why, for whoever reads the log.")
    settings = settings_from(options)
    actor, now = options.by or getpass.getuser(), system_clock()
    action, _ = VERBS[options.verb]
    finding = named(options.id, read_current(settings))
    refuse_needless(finding, STATUS_OF[action])
    admin, known = Admin(settings, actor, options.key), read_keys(settings)
    key_id = admin.allowed(action, known, now)
    if known.get(key_id).secret_version and admin.signer is None:
        raise UsageError(
            f"Key {key_id} has a secret, and what is decided with it must be signed.",
            "Set KEYTRAIL_KEY_SECRET to it.",
        )
    decision = Decision(action, actor, key_id, options.reason, options.ticket)
    publisher = EventPublisher(settings, client_id="keytrail-triage", sign=signed_by(admin.signer))
    publisher.publish(event_of(decision, finding, now), wait=True)
    publisher.close(_DELIVERY_TIMEOUT_S)
    progress(f"Finding {finding.anomaly_id} is {STATUS_OF[action]}: {finding.summary}")
    return 0


def named(name: str, findings: list[Anomaly]) -> Anomaly:
    """The one finding whose id begins so.  Raises `UsageError` or `TriageError` where it is not one."""
    if len(name) < _LEAST_ID:
        raise UsageError(f"{name!r} is too short for a finding's id.", f"Give {_LEAST_ID} digits or more.")
    found = [finding for finding in findings if finding.anomaly_id.startswith(name.lower())]
    if not found:
        raise TriageError(f"There is no finding {name}.", "`keytrail anomalies` shows those there are.")
    if len(found) > 1:
        raise TriageError(f"{len(found)} findings begin with {name}.", "Give more of its digits.")
    return found[0]


def refuse_needless(finding: Anomaly, status: str) -> None:
    """Raises `TriageError` where the finding is over, or somebody has decided so before."""
    name = f"Finding {finding.anomaly_id}"
    if finding.status == "resolved":
        raise TriageError(f"{name} is resolved: its cause has gone.", "There is nothing to do.")
    if finding.status == "closed" or finding.status == status:
        by, at = finding.details.get("triaged_by", "?"), finding.details.get("triaged_at", "?")
        raise TriageError(
            f"{name} is {finding.status} already, by {by} at {at}.",
            "It opens again by itself where more of it comes." if finding.status == "closed" else "",
        )


def event_of(decision: Decision, finding: Anomaly, now: Micros) -> Event:
    """The audited event, which names the finding as it was seen."""
    return Event(
        event_id=UuidV7()(),
        occurred_at=now,
        recorded_at=now,
        service="keytrail",
        environment=None,
        actor_id=decision.actor,
        actor_type="human",
        key_id=decision.key_id,
        key_alias=None,
        action=decision.action,
        subject=None,
        resource=resource_of(finding.anomaly_id),
        reason=decision.reason,
        ticket=decision.ticket,
        attributes=attributes_of(finding),
    )
