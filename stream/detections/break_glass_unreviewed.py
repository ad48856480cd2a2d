"""Break-glass use never reviewed: an emergency key was used, and nobody has looked into it.

A review is what a person decides on the finding `break_glass_use` of the key, or on this one: `keytrail
anomalies ack` or `close`, with a key that may. With t the use, by the events' times:

    there is no review from t on until reviews.hours later

Uses in one minute count as one, the first. The time is that of the stream, as for `audit_silence`: it is
judged once all partitions are two hours past the end of the wait, and a use or a review that comes more than
two hours behind others of its partition is none. One finding a key, with the number of uses that nobody
reviewed in time, a hundred at most; it resolves with the next review, and opens again with a further such
use. How long may be waited is said by the policy that counted for the use.

False positives: drills, and reviews that are kept elsewhere; close the finding when they are done.
ATT&CK T1078 (Valid Accounts); OWASP NHI10:2025 (Human Use of NHI) where the key is a service's. Source of the
idea: post-use review of emergency access in cloud vendors' guidance (Microsoft Entra emergency accounts).

This is what the rule says; `stream/reviews/` keeps uses and reviews.
"""

from collections.abc import Sequence
from shlex import quote

from keytrail.schemas.records import Occurrence
from keytrail.stream.detections.verdict import Rule, Verdict

RULE = Rule("break_glass_unreviewed", 1, "condition", "high", "T1078", measure="figure")


def unreviewed(key_id: str, uses: Sequence[Occurrence], hours: int) -> Verdict:
    """`uses` are in order; there is one."""
    return Verdict(
        RULE,
        "key",
        key_id,
        "",
        f"Break-glass key {key_id} was used, and nobody reviewed that within {hours} hours.",
        f"See what it did: keytrail report chain --param key_id={quote(key_id)}; then close the finding "
        "break_glass_use of this key: keytrail anomalies close ID --reason TEXT.",
        details={"uses": str(len(uses))},
        evidence=tuple(uses),
        count=len(uses),
    )


def reviewed(key_id: str, review: Occurrence) -> Verdict:
    return Verdict(RULE, "key", key_id, "", "Its use was reviewed.", "", holds=False, evidence=(review,))
