"""Denials, then a success: a key was refused an action again and again, and then it got through.

Formula, in full minutes (UTC), for one action, with n the refusals within `refusals.minutes` minutes up to
minute m, and s a minute with a success of that action:

    n >= refusals.least  and  m <= s <= m + refusals.minutes

Refused is what was denied, and a login that failed; other failures are the service's own.  A success in the
minute of the last refusal counts as one after it.  The count is that of the most refusals before a success;
the action is the cause.  Of successes by events with another subject than the refusals only changes of
access are seen. False positives: keys in heavy use that are refused now and then; raise `refusals.least`,
or mend their scope. ATT&CK T1110 (Brute Force); OWASP NHI4:2025 (Insecure Authentication). Source of the
idea: failed-then-successful sign-in rules of SIEM vendors (Sigma, Elastic).
"""

from collections.abc import Iterator
from shlex import quote

from keytrail.stream.conduct.conduct import Conduct
from keytrail.stream.conduct.minutes import fullest
from keytrail.stream.conduct.tallies import MINUTE
from keytrail.stream.detections.verdict import Rule, Verdict
from keytrail.stream.policies.policy import Policy

RULE = Rule("denials_then_success", 1, "act", "high", "T1110", measure="peak")


def judge(conduct: Conduct, policy: Policy) -> Iterator[Verdict]:
    limits, name = policy.refusals, conduct.key_id
    for action, refused in conduct.refused.items():
        passed = conduct.passed.get(action, ())
        windows = [
            window
            for window in refused.windows(limits.minutes, limits.least)
            if any(0 <= minute - window.last // MINUTE <= limits.minutes for minute in passed)
        ]
        if not windows:
            continue
        most = fullest(windows)
        yield Verdict(
            RULE,
            "key",
            name,
            action,
            f"Key {name} of {conduct.owner} was refused {action} {most.count} times within {limits.minutes} "
            "minutes, and then it succeeded.",
            f"See what it did: keytrail report chain --param key_id={quote(name)}; unless {conduct.owner} "
            f"can explain it: keytrail keys suspend {quote(name)} --reason 'refused, then let in'.",
            details={"owner": conduct.owner, "action": action, "refusals": str(most.count)},
            evidence=most.events,
            count=most.count,
            since=min(window.first for window in windows),
            until=max(window.last for window in windows),
        )
