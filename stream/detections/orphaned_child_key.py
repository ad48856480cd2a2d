"""Orphaned child key: a key is used, and a key that it descends from was revoked.

Formula: a key that works is used at least `lineage.grace_days` after one of its registered ancestors
(`parent_key` in a key's record) was revoked; at once, and of high severity, where the reason of that is like
one of `lineage.compromise_reasons`.  The cause is the nearest such ancestor.  Refused uses count:
somebody has the key.  Judged anew when an ancestor's record changes.

False positives: keys that an administrator issued who then left in peace; have a successor issue them anew
within the grace, or name that administrator's key in an exception.  ATT&CK T1098.001 (Additional Cloud
Credentials); OWASP NHI1:2025 (Improper Offboarding).  Source of the idea: the revocation of a compromised key
leaves what was made with it.
"""

from collections.abc import Iterator
from shlex import quote

from keytrail.schemas.records import Event, Key
from keytrail.stream.detections.verdict import Rule, Verdict
from keytrail.stream.keys.keys import KeyAtEvent
from keytrail.stream.policies.policy import LineageLimits, Policy

RULE = Rule("orphaned_child_key", 1, "act", "medium", "T1098.001")
_DAY = 24 * 3600 * 1_000_000


def judge(event: Event, key: KeyAtEvent, policy: Policy) -> Iterator[Verdict]:
    if not key.ancestors or key.key is None:
        return
    for ancestor in key.ancestors:
        if _has_left(ancestor, event, policy.lineage):
            compromised = policy.lineage.is_compromise(ancestor.reason)
            child, why = key.key.key_id, ancestor.reason or "no reason stated"
            yield Verdict(
                RULE,
                "key",
                child,
                ancestor.key_id,
                f"Key {child} of {key.key.owner} is in use, and {ancestor.key_id}, from which it descends, "
                f"was revoked ({why}).",
                f"See who holds {child}; issue what is still needed anew, then: "
                f"keytrail keys revoke {quote(child)} --reason 'its issuer was revoked'.",
                severity="high" if compromised else "",
                details={"owner": key.key.owner, "revoked": ancestor.key_id, "reason": why},
            )
            return


def _has_left(ancestor: Key, event: Event, limits: LineageLimits) -> bool:
    if ancestor.revoked_at is None:
        return False
    grace = 0 if limits.is_compromise(ancestor.reason) else limits.grace_days * _DAY
    return event.occurred_at >= ancestor.revoked_at + grace
