"""Mass revoke: one key took access away from many in a few minutes, which locks people and services out.

Formula, over every stretch of `burst.minutes` minutes (full minutes, UTC), with n the successful
revocations of roles and keys, suspensions of keys and deletions of others' accounts by the key:

    n >= burst.taken            n >= burst.by_provisioners for a key whose scope names access changes

The count is that of the fullest stretch.  False positives: a team that is dissolved by a script, an
incident in which keys are revoked; say so in the policy's exceptions. ATT&CK T1531 (Account Access
Removal); OWASP NHI5:2025 (Overprivileged NHI). Source of the idea: T1531's own detection note, account
changes in quick succession.
"""

from collections.abc import Iterator
from shlex import quote

from keytrail.stream.conduct.conduct import Conduct
from keytrail.stream.conduct.minutes import fullest
from keytrail.stream.detections.verdict import Rule, Verdict
from keytrail.stream.policies.policy import Policy

RULE = Rule("mass_revoke", 1, "act", "critical", "T1531", measure="peak")


def judge(conduct: Conduct, policy: Policy) -> Iterator[Verdict]:
    limits = policy.burst
    least = limits.by_provisioners if conduct.provisions else limits.taken
    windows = list(conduct.taken.windows(limits.minutes, least))
    if not windows:
        return
    most, name = fullest(windows), conduct.key_id
    yield Verdict(
        RULE,
        "key",
        name,
        "",
        f"Key {name} of {conduct.owner} took access away {most.count} times within {limits.minutes} minutes.",
        f"At once: keytrail keys suspend {quote(name)} --reason 'mass revocation', then ask {conduct.owner} "
        "whether this was meant, and give back what was not to be taken.",
        details={"owner": conduct.owner, "changes": str(most.count), "minutes": str(limits.minutes)},
        evidence=most.events,
        count=most.count,
        since=min(window.first for window in windows),
        until=max(window.last for window in windows),
    )
