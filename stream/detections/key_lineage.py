"""Key lineage: a key that was issued by a key that was issued by a key issues one more.

Formula: an `issue_key` succeeded, and the key that issued has `lineage.most_depth` registered ancestors or
more (`parent_key` in its record), so that the new key has more.  A key that nobody's key issued has none.
One finding for each key that issues.  Rotation makes no key deeper: a successor has its predecessor's parent.
Judged anew when the record of a key above it changes.

False positives: pipelines that hand out short-lived keys through several services; raise `most_depth`.
ATT&CK T1098.001 (Additional Cloud Credentials); OWASP NHI7:2025 (Long-Lived Secrets).  Source of the idea:
credential chaining, by which somebody outlives the revocation of the key that let them in.
"""

from collections.abc import Iterator
from shlex import quote

from keytrail.schemas.records import Event
from keytrail.stream.detections.verdict import Rule, Verdict
from keytrail.stream.keys.keys import KeyAtEvent
from keytrail.stream.policies.policy import Policy

RULE = Rule("key_lineage", 1, "act", "medium", "T1098.001")


def judge(event: Event, key: KeyAtEvent, policy: Policy) -> Iterator[Verdict]:
    if event.action != "issue_key" or event.outcome != "success":
        return
    if key.key is None or len(key.ancestors) < policy.lineage.most_depth:
        return
    by = key.key
    chain = " < ".join(each.key_id for each in (by, *key.ancestors))
    yield Verdict(
        RULE,
        "key",
        by.key_id,
        "",
        f"{event.actor_id} issued a key with {by.key_id}, which has {len(key.ancestors)} keys above it.",
        f"Have the new key issued by an administrator's key, and take {by.key_id} the right to issue any: "
        f"keytrail keys suspend {quote(by.key_id)} --reason 'issues keys'.",
        details={"chain": chain, "actor": event.actor_id, "for": event.whose},
    )
