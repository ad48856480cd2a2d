"""Break-glass use: an emergency key was used.

Meant to happen, and never unseen: each use counts, and the finding stays.
Lying unused is what such a key is for, so no rule about dormant keys concerns it.  False positives: drills.
ATT&CK T1078 (Valid Accounts).  Source of the idea: emergency access accounts in cloud vendors' guidance.
"""

from collections.abc import Iterator

from keytrail.schemas.records import Event
from keytrail.stream.detections.verdict import Rule, Verdict
from keytrail.stream.keys.keys import KeyAtEvent
from keytrail.stream.policies.policy import Policy

RULE = Rule("break_glass_use", 1, "act", "high", "T1078")


def judge(event: Event, key: KeyAtEvent, policy: Policy) -> Iterator[Verdict]:  # noqa: ARG001
    if key.key is None or not key.key.break_glass:
        return
    yield Verdict(
        RULE,
        "key",
        key.key.key_id,
        "",
        f"{event.actor_id} used the break-glass key {key.key.key_id} through {event.service}.",
        f"Ask {event.actor_id} which emergency it was, review what was done with the key, then replace it.",
        details={"actor": event.actor_id, "owner": key.key.owner, "service": event.service},
    )
