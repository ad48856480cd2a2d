"""Interactive service key: somebody signed in with the key of a service.

A service calls interfaces and never signs in, so a `login` with its key is a person, or a thief, who
holds it.  A refused sign-in counts too.  False positives: sources that call a token exchange a login.
ATT&CK T1078.004 (Cloud Accounts); OWASP NHI10:2025 (Human Use of NHI).
"""

from collections.abc import Iterator
from shlex import quote

from keytrail.schemas.records import Event
from keytrail.stream.detections.verdict import Rule, Verdict
from keytrail.stream.keys.keys import KeyAtEvent
from keytrail.stream.policies.policy import Policy

RULE = Rule("interactive_service_key", 1, "act", "high", "T1078.004")


def judge(event: Event, key: KeyAtEvent, policy: Policy) -> Iterator[Verdict]:  # noqa: ARG001
    if event.action != "login" or key.key is None or key.key.kind != "service":
        return
    yield Verdict(
        RULE,
        "key",
        key.key.key_id,
        "",
        f"{event.actor_id} signed in to {event.service} with the key of a service, {key.key.key_id}.",
        f"Find out who it was; let the key be replaced: keytrail keys rotate {quote(key.key.key_id)} "
        "--overlap 0h --reason 'a person has it'.",
        details={"actor": event.actor_id, "owner": key.key.owner, "outcome": event.outcome},
    )
