"""Clock skew: a producer says that events happened after it recorded them.

Formula: occurred_at - recorded_at > 2 minutes.  One finding a service.  The order of its events cannot be
relied on, and what is judged by time (expiry, revocation, hours) may be judged wrongly.  False positives:
sources that plan ahead and report what is yet to come.  ATT&CK T1070.006 (Timestomp).
"""

from collections.abc import Sequence

from keytrail.schemas.records import Event
from keytrail.stream.detections.verdict import Rule, Verdict
from keytrail.stream.keys.keys import KeyAtEvent
from keytrail.stream.policies.policy import Policy

RULE = Rule("clock_skew", 1, "act", "medium", "T1070.006")
_SECOND = 1_000_000
_ALLOWED = 120 * _SECOND


def judge(event: Event, key: KeyAtEvent, policy: Policy) -> Sequence[Verdict]:  # noqa: ARG001
    ahead = event.occurred_at - event.recorded_at
    if ahead <= _ALLOWED:
        return ()
    found = Verdict(
        RULE,
        "service",
        event.service,
        "",
        f"{event.service} reports events {ahead // _SECOND} s before they happened, by its own clock.",
        f"Set the clocks of {event.service} right; see whether times were changed by hand.",
        details={"actor": event.actor_id, "seconds": str(ahead // _SECOND)},
    )
    return (found,)
