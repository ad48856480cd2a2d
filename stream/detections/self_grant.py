"""Self-grant: somebody gave a role to themselves.

Fires for a grant whose subject is the one who acted, unless it was approved (`approval`).  The cause is the
role.  False positives: the first administrator of a new system; set-up jobs that give themselves what they
need for an hour.  ATT&CK T1098.003 (Additional Cloud Roles); for services, OWASP NHI5:2025 (Overprivileged
NHI).  Source of the idea: the separation of request and grant in ISO 27001:2022, A.5.18.
"""

from collections.abc import Iterator
from shlex import quote

from keytrail.schemas.records import Event
from keytrail.stream.detections.approval import is_approved
from keytrail.stream.detections.verdict import Rule, Verdict
from keytrail.stream.keys.keys import KeyAtEvent
from keytrail.stream.policies.policy import Policy

RULE = Rule("self_grant", 1, "act", "high", "T1098.003")


def judge(event: Event, key: KeyAtEvent, policy: Policy) -> Iterator[Verdict]:  # noqa: ARG001
    if event.action != "grant" or event.outcome != "success" or event.role is None:
        return
    if event.whose != event.actor_id or is_approved(event):
        return
    suspend = f"; or: keytrail keys suspend {quote(event.key_id)} --reason self-grant" if event.key_id else ""
    yield Verdict(
        RULE,
        "subject",
        event.actor_id,
        event.role,
        f"{event.actor_id} gave itself the role {event.role}, and nobody else approved it.",
        f"Revoke {event.role} from {event.actor_id} unless somebody answers for it{suspend}.",
        details={"key": event.key_id or "", "service": event.service},
    )
