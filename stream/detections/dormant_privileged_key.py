"""Dormant privileged key: a key that can do much works, and nobody uses it.

A key is privileged where its scope names a role that is (`stream/policies/privilege.py`), or lets one of any
such name through, or names an action that gives access (grant, issue_key, update_trust) and no roles. In UTC
days, with p the latest of its day of issue, its latest day of use and the first day that keytrail saw, and d
a day before which all is known:

    d - p >= dormancy.days,  and it was active when d began

so a next use would be `dormant_key_awakes`; this one says so before somebody else finds the key. A key that
was never used counts from its issue, or from keytrail's first day. Refused uses count: somebody has the key.
The time is that of the stream, as for `audit_silence`: a day is judged once all partitions are two hours past
it. One finding a key; it resolves with the first such day after the key was used, revoked, suspended, has
expired, or is no longer privileged, and opens again after the next rest. A use that comes later than these
two hours ends it at the next such day. Uses by a key's alias are its uses. A key that comes to be privileged
later, by its record or by the policy, and one that is registered a day or more after its issue, counts
from then: its uses were not watched before.

False positives: keys of yearly tasks; close the finding, or let such a key expire. Keys without a scope may
do everything and are not watched: give them one. A break-glass key is meant to lie unused. ATT&CK T1078
(Valid Accounts); OWASP NHI1:2025 (Improper Offboarding), NHI7:2025 (Long-Lived Secrets). Source of the idea:
unused-credential reports of cloud vendors (AWS IAM credential report, 90 days as in CIS AWS 1.12).

This is what the rule says; `stream/dormancy/` keeps the days.
"""

from datetime import UTC, datetime
from shlex import quote

from keytrail.schemas.records import Key, Micros, Occurrence
from keytrail.stream.conduct.tallies import DAY
from keytrail.stream.detections.verdict import Rule, Verdict
from keytrail.stream.policies.policy import Policy
from keytrail.stream.policies.privilege import is_privileged_key

RULE = Rule("dormant_privileged_key", 1, "condition", "medium", "T1078", measure="figure")


def concerns(key: Key, policy: Policy) -> bool:
    return not key.break_glass and is_privileged_key(key, policy)


def lies(name: str, key: Key, began: int, last: Occurrence | None, day: int) -> Verdict:
    """It has lain unused from the day `began` until `day`; `last` is its latest use, if any."""
    since = _date(began)
    is_known = last is not None and last.occurred_at // DAY == began
    whence = f"has not been used since {since}" if is_known else f"was never seen in use since {since}"
    return Verdict(
        RULE,
        "key",
        name,
        "",
        f"Privileged key {name} of {key.owner} works and {whence}.",
        f"Ask {key.owner} whether it is needed; if not: keytrail keys revoke {quote(name)} "
        "--reason 'not used'; if so: let it expire, or give it a narrower scope.",
        details={"owner": key.owner, "unused_since": since},
        evidence=(last,) if last is not None and is_known else (),
        since=last.occurred_at if last is not None and is_known else Micros(began * DAY),
        until=Micros(day * DAY),
    )


def ended(name: str, now: str, day: int, used: Occurrence | None = None) -> Verdict:
    """What it is instead, with the use that ended it."""
    at = Micros(day * DAY)
    evidence = () if used is None else (used,)
    return Verdict(
        RULE, "key", name, "", f"It is {now}.", "", holds=False, evidence=evidence, since=at, until=at
    )


def _date(day: int) -> str:
    return f"{datetime.fromtimestamp(day * DAY // 1_000_000, UTC):%Y-%m-%d}"
