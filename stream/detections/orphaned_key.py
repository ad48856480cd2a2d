"""Orphaned key: a key is used, and its owner has left.

Formula: a registered key that works is used at least `orphans.grace_days` after its owner, as a subject, was
deleted (`delete` of the subject by somebody else), and the owner was granted nothing since.  Refused uses
count: somebody has the key.  One finding a key.  Judged anew when word of the owner's departure, or of its
return, comes late.

False positives: a service's key that was registered under a person's name; give it another owner.  Owners are
found where the key's `owner` is what events call the subject.  ATT&CK T1078 (Valid Accounts); OWASP NHI1:2025
(Improper Offboarding).
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from shlex import quote

from keytrail.schemas.records import Event
from keytrail.stream.detections.verdict import Rule, Verdict
from keytrail.stream.keys.keys import KeyAtEvent
from keytrail.stream.policies.policy import Policy

RULE = Rule("orphaned_key", 1, "act", "high", "T1078")
_DAY = 24 * 3600 * 1_000_000


def judge(event: Event, key: KeyAtEvent, policy: Policy) -> Iterator[Verdict]:
    if key.owner_left is None or key.key is None:
        return
    if event.occurred_at < key.owner_left + policy.orphans.grace_days * _DAY:
        return
    key_id, owner = key.key.key_id, key.key.owner
    left = datetime.fromtimestamp(key.owner_left / 1e6, UTC)
    yield Verdict(
        RULE,
        "key",
        key_id,
        "",
        f"{event.actor_id} used the key {key_id} of {owner}, who left on {left:%Y-%m-%d}.",
        "See what runs with it, and give that a key of its own; "
        f"then: keytrail keys revoke {quote(key_id)} --reason 'its owner left'.",
        details={
            "owner": owner,
            "left": f"{left:%Y-%m-%d}",
            "actor": event.actor_id,
            "service": event.service,
        },
    )
