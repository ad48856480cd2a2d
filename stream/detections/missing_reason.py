"""Missing reason: access was changed, and nobody said why.

Fires for successful access changes with neither a reason nor a ticket.  One finding a key (or a
service, where no key is stated), since the cure lies with who uses it.  False positives: sources
that cannot carry a reason, such as CloudTrail.
"""

from collections.abc import Iterator

from keytrail.schemas.records import Event
from keytrail.stream.detections.access_change import ACCESS_CHANGES
from keytrail.stream.detections.verdict import Rule, Verdict
from keytrail.stream.keys.keys import KeyAtEvent
from keytrail.stream.policies.policy import Policy

RULE = Rule("missing_reason", 1, "act", "low", None)


def judge(event: Event, key: KeyAtEvent, policy: Policy) -> Iterator[Verdict]:  # noqa: ARG001
    if event.action not in ACCESS_CHANGES or event.outcome != "success" or event.reason or event.ticket:
        return
    entity_type, entity = ("key", event.key_id) if event.key_id else ("service", event.service)
    yield Verdict(
        RULE,
        entity_type,
        entity,
        "",
        f"Access changes by {entity_type} {entity} state no reason.",
        f"Have {event.service} pass a reason or a ticket with each change.",
        details={"actor": event.actor_id, "service": event.service, "action": event.action},
    )
