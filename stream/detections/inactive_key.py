"""Expired, revoked and suspended keys: a key is used while it should not work.

Judged by the key's status at the time of the event, not of its arrival.  A denied use counts too:
somebody still tries.  False positives: a service that was not told of a rotation.
ATT&CK T1078 (Valid Accounts); OWASP NHI1:2025 (Improper Offboarding).
"""

from collections.abc import Iterator

from keytrail.schemas.records import Event
from keytrail.stream.detections.verdict import Rule, Verdict
from keytrail.stream.keys.keys import KeyAtEvent
from keytrail.stream.policies.policy import Policy

EXPIRED = Rule("expired_key", 1, "act", "medium", "T1078")
REVOKED = Rule("revoked_key", 1, "act", "high", "T1078")
SUSPENDED = Rule("suspended_key", 1, "act", "high", "T1078")
RULES = (EXPIRED, REVOKED, SUSPENDED)
_BY_STATUS = {"expired": EXPIRED, "revoked": REVOKED, "suspended": SUSPENDED}


def judge(event: Event, key: KeyAtEvent, policy: Policy) -> Iterator[Verdict]:  # noqa: ARG001
    rule = _BY_STATUS.get(key.status)
    if rule is None or key.key is None:
        return
    yield Verdict(
        rule,
        "key",
        key.key.key_id,
        "",
        f"Key {key.key.key_id} of {key.key.owner} was used through {event.service} while {key.status}.",
        f"Ask {key.key.owner} who still holds it; let {event.service} refuse it.",
        details={"owner": key.key.owner, "service": event.service, "outcome": event.outcome},
    )
