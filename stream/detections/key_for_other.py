"""Key for another: somebody issued a credential in someone else's name.

Fires for `issue_key` where the subject is not the actor, unless the acting key is scoped for it:
its `scope_actions` name `issue_key` outright.  The cause is the kind of credential (the event's
`resource`).  False positives: a help desk whose key lacks that scope; add it.
ATT&CK T1098.001 (Additional Cloud Credentials).
"""

from collections.abc import Iterator

from keytrail.schemas.records import Event
from keytrail.stream.detections.escalation_ways import way_gone
from keytrail.stream.detections.verdict import Rule, Verdict
from keytrail.stream.keys.keys import KeyAtEvent
from keytrail.stream.policies.policy import Policy

RULE = Rule("key_for_other", 1, "act", "critical", "T1098.001")


def judge(event: Event, key: KeyAtEvent, policy: Policy) -> Iterator[Verdict]:  # noqa: ARG001
    if event.action != "issue_key" or event.outcome != "success":
        return
    if event.subject is None or event.subject == event.actor_id:
        return
    if key.status == "active" and key.key is not None and "issue_key" in key.key.scope_actions:
        return
    kind = event.resource or "key"
    yield Verdict(
        RULE,
        "subject",
        event.subject,
        kind,
        f"{event.actor_id} issued a credential ({kind}) in the name of {event.subject}.",
        f"Ask {event.subject} whether it is theirs; if not, withdraw it and see what {event.actor_id} did.",
        details={
            "actor": event.actor_id,
            "key": event.key_id or "",
            "service": event.service,
            "path": way_gone(event),
        },
    )
