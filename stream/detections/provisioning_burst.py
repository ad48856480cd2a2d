"""Provisioning burst: one key gave access more often in a few minutes than anybody does by hand.

Formula, over every stretch of `burst.minutes` minutes (full minutes, UTC), with n the successful grants,
issued keys and changes of trust by the key, whoever they were for:

    n >= burst.given            n >= burst.by_provisioners for a key whose scope names such actions

A key that was issued for provisioning does it by the hundred: at onboardings, migrations, when access is
taken stock of.  The count is that of the fullest stretch.  False positives: a script for one occasion; let
it use a key that is scoped to `grant`.  ATT&CK T1098 (Account Manipulation); OWASP NHI5:2025
(Overprivileged NHI). Source of the idea: mass-assignment alerts of identity providers (Entra ID's and
Okta's bulk-change detections).
"""

from collections.abc import Iterator
from shlex import quote

from keytrail.stream.conduct.conduct import Conduct
from keytrail.stream.conduct.minutes import fullest
from keytrail.stream.detections.verdict import Rule, Verdict
from keytrail.stream.policies.policy import Policy

RULE = Rule("provisioning_burst", 1, "act", "high", "T1098", measure="peak")


def judge(conduct: Conduct, policy: Policy) -> Iterator[Verdict]:
    limits = policy.burst
    least = limits.by_provisioners if conduct.provisions else limits.given
    windows = list(conduct.given.windows(limits.minutes, least))
    if not windows:
        return
    most, name = fullest(windows), conduct.key_id
    yield Verdict(
        RULE,
        "key",
        name,
        "",
        f"Key {name} of {conduct.owner} gave access {most.count} times within {limits.minutes} minutes.",
        f"Ask {conduct.owner} whether this was meant; if not: keytrail keys suspend {quote(name)} "
        "--reason 'burst of grants', and revoke what was given.",
        details={"owner": conduct.owner, "changes": str(most.count), "minutes": str(limits.minutes)},
        evidence=most.events,
        count=most.count,
        since=min(window.first for window in windows),
        until=max(window.last for window in windows),
    )
