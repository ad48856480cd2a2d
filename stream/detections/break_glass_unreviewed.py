"""Break-glass use never reviewed: an emergency key was used, and nobody has looked into it.

A review is what a person decides on the finding `break_glass_use` of the key, or on this one: `keytrail
anomalies ack` or `close`, with a key that may. With t the use, and r the first review at or after it:

    there is no r within reviews.hours of t, by the events' times, and the stream is past that

The time is that of the stream, as for `audit_silence`, with two hours for events that come late; uses in one
minute count as one, and a finding's times are begins of minutes. The count is that of the uses that wait, or
waited for the same review: the first hundred. One finding a key; it resolves once a review comes, and opens
again with a further use that is not reviewed. False positives: reviews that are kept elsewhere; close the
finding from there.
ATT&CK T1078 (Valid Accounts); OWASP NHI10:2025 (Human Use of NHI) where the key is a service's. Source of the
idea: post-use review of emergency access in cloud vendors' guidance (Microsoft Entra emergency accounts).

This is what the rule says; `stream/awaited/reviews.py` keeps uses and reviews.
"""

from shlex import quote

from keytrail.schemas.records import Micros, Occurrence
from keytrail.stream.detections.verdict import Rule, Verdict

RULE = Rule("break_glass_unreviewed", 1, "condition", "high", "T1078", measure="figure")
_MINUTE = 60 * 1_000_000


def unreviewed(key_id: str, uses: tuple[Occurrence, ...], hours: int) -> Verdict:
    """`uses` are in order."""
    return Verdict(
        RULE,
        "key",
        key_id,
        "",
        f"Break-glass key {key_id} was used, and nobody reviewed that within {hours} hours.",
        f"See what it did: keytrail report chain --param key_id={quote(key_id)}; then close the finding "
        "break_glass_use of this key: keytrail anomalies close ID --reason TEXT.",
        details={"uses": str(len(uses))},
        evidence=uses,
        count=len(uses),
        since=_minute(uses[0]),
        until=_minute(uses[-1]),
    )


def _minute(use: Occurrence) -> Micros:
    return use.occurred_at // _MINUTE * _MINUTE


def reviewed(key_id: str, uses: tuple[Occurrence, ...], at: Micros) -> Verdict:
    return Verdict(RULE, "key", key_id, "", "Its use was reviewed.", "", holds=False, evidence=uses, until=at)
