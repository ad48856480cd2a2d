"""Unknown key: an event names a key that nobody registered.

Meaning: a credential is in use that no one answers for.  False positives: a key registered
minutes after its first use.  Registering it (`keytrail keys issue` or `import`) is the cure.
ATT&CK T1078 (Valid Accounts).
"""

from collections.abc import Iterator
from shlex import quote

from keytrail.schemas.records import Event
from keytrail.stream.detections.verdict import Rule, Verdict
from keytrail.stream.keys.keys import KeyAtEvent
from keytrail.stream.policies.policy import Policy

RULE = Rule("unknown_key", 1, "act", "high", "T1078")


def judge(event: Event, key: KeyAtEvent, policy: Policy) -> Iterator[Verdict]:  # noqa: ARG001
    if key.status == "unknown" and event.key_id is not None:
        yield Verdict(
            RULE,
            "key",
            event.key_id,
            "",
            f"Key {event.key_id} is not registered; {event.actor_id} used it through {event.service}.",
            f"Find its owner and register it: keytrail keys issue --id {quote(event.key_id)} --owner OWNER "
            "--kind human|service --reason REASON. If nobody owns it, withdraw it where it was issued.",
            details={"actor": event.actor_id, "service": event.service},
        )
