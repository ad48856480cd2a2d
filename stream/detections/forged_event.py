"""Invalid and missing signatures: an event says it was done with a key, and cannot show it.

Invalid: the signature fits neither key nor content, the claim in `keytrail.claim` is not true, or the
secret was replaced before the event happened.  Whoever wrote it does not hold the key, or altered it.
False positives: a service that goes on with a secret beyond its overlap; it is named by the cause.
Missing: the policy says that the key, or the service, signs what it sends, and this event is not signed.
ATT&CK T1565.002 (Transmitted Data Manipulation); OWASP NHI4:2025 (Insecure Authentication).
"""

from collections.abc import Iterator

from keytrail.schemas.records import Event, Key
from keytrail.stream.detections.verdict import Rule, Verdict
from keytrail.stream.keys.keys import KeyAtEvent
from keytrail.stream.policies.patterns import matches_any
from keytrail.stream.policies.policy import Policy
from keytrail.stream.reading.signed import Signed

INVALID = Rule("invalid_signature", 1, "act", "critical", "T1565.002")
MISSING = Rule("missing_signature", 1, "act", "high", "T1565.002")
OLD_SECRET = "old secret"  # noqa: S105


def judge(event: Event, key: KeyAtEvent, signed: Signed, policy: Policy) -> Iterator[Verdict]:
    if signed.state == "invalid":
        yield _verdict(
            INVALID,
            event,
            "",
            f"An event of {event.service} in the name of key {event.key_id} is not that key's: {signed.why}.",
            f"Find out who can write to keytrail.events as {event.service}; let the key's secret be replaced "
            "(keytrail keys secret) if it may be known.",
        )
    elif signed.version and key.key is not None and is_outdated(key.key, signed.version, event):
        yield _verdict(
            INVALID,
            event,
            OLD_SECRET,
            f"An event of {event.service} is signed with secret {signed.version} of key {event.key_id}, "
            f"which secret {key.key.secret_version} has replaced.",
            f"Give {event.service} the new secret; if it has it, somebody else holds the old one.",
        )
    elif signed.state in ("unsigned", "claimed") and _must_sign(event, policy):
        yield _verdict(
            MISSING,
            event,
            event.service,
            f"An event of {event.service} with key {event.key_id or '(none)'} is not signed, and has to be.",
            f"See whether {event.service} has the key's secret, and who else sends events in its name.",
        )


def is_outdated(key: Key, version: int, event: Event) -> bool:
    """True where that secret of the key had been replaced when the event happened."""
    if version >= key.secret_version:
        return False
    ends = key.old_secrets_until if version == key.secret_version - 1 else key.secret_since
    return event.occurred_at >= ends


def _must_sign(event: Event, policy: Policy) -> bool:
    signing = policy.signing
    return (bool(signing.keys) and event.key_id is not None and matches_any(signing.keys, event.key_id)) or (
        bool(signing.services) and matches_any(signing.services, event.service)
    )


def _verdict(rule: Rule, event: Event, cause: str, summary: str, remedy: str) -> Verdict:
    entity_type, entity = ("key", event.key_id) if event.key_id else ("service", event.service)
    details = {"service": event.service, "actor": event.actor_id}
    return Verdict(rule, entity_type, entity, cause, summary, remedy, details=details)
