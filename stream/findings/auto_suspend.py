"""Whether a finding suspends its key by itself.  Knows no Kafka: what was done before stands in the keys.

A label of the key tells which findings have suspended it, and when.  It is written together with the
suspension and stays when a person resumes the key: one finding suspends a key once, whatever dies meanwhile.
"""

from collections.abc import Iterable
from dataclasses import replace

from keytrail.schemas.records import Anomaly, Key, Micros
from keytrail.stream.policies.policy import AutoSuspend

LABEL = "keytrail.auto_suspended"
_HOUR: Micros = 3_600_000_000
_KEPT = 50
_OPEN = ("open", "updated")


def concerns(finding: Anomaly, settings: AutoSuspend) -> bool:
    """True for an open critical finding about a key, of a rule that may suspend."""
    return finding.rule in settings.rules and is_grave(finding)


def is_grave(finding: Anomaly) -> bool:
    """True for an open critical finding about a key: of another kind no policy lets a key be suspended."""
    return finding.severity == "critical" and finding.entity_type == "key" and finding.status in _OPEN


def hindrance(
    finding: Anomaly, key: Key, keys: Iterable[Key], settings: AutoSuspend, own_key: str, now: Micros
) -> str:
    """Why the key is not suspended; "" where it is to be.  `own_key` is the one that this is done with."""
    if any(name == finding.anomaly_id for name, _ in _acts(key)):
        return "this finding has suspended it before"
    if key.break_glass:
        return "it is a break-glass key"
    if key.key_id == own_key:
        return "keys are suspended with it"
    if key.status != "active":
        return f"it is {key.status}"
    # A rotated key's successor has its labels too.
    recent = len({act for one in keys for act in _acts(one) if act[1] > now - _HOUR})
    if recent >= settings.most_an_hour:
        return f"{recent} keys were suspended within the hour, and the policy allows no more"
    return ""


def marked(key: Key, finding: Anomaly, now: Micros) -> Key:
    """The key with a note of what the finding did."""
    acts = [*_acts(key), (finding.anomaly_id, now)][-_KEPT:]
    return replace(key, labels={**key.labels, LABEL: " ".join(f"{name}@{at}" for name, at in acts)})


def _acts(key: Key) -> list[tuple[str, Micros]]:
    """Findings that suspended the key, and when; a label in another form counts as none."""
    found = []
    for text in key.labels.get(LABEL, "").split():
        name, _, at = text.partition("@")
        if at.isascii() and at.isdecimal():
            found.append((name, Micros(int(at))))
    return found
