"""Shared key: more actors use one key on one day than should have it.

Formula, for any UTC day, with n the number of actors who used the key on it, refused or not:

    n > sharing.actors

One may be the person and one the job that runs for it.  Keys that are for many (`sharing.expected`,
patterns of key ids) are left out.  The count is that of the day with most actors, and a finding's times are
begins of days.  False positives: services that name the same actor in several ways.  Of one key the 16
actors who were first are followed. ATT&CK T1550.001 (Application Access Token); OWASP NHI9:2025 (NHI
Reuse). Source of the idea: OWASP's NHI9, and concurrent-use alerts of secret managers.
"""

from collections import Counter
from collections.abc import Iterator
from shlex import quote

from keytrail.stream.conduct.conduct import Conduct
from keytrail.stream.conduct.tallies import DAY
from keytrail.stream.detections.verdict import Rule, Verdict
from keytrail.stream.policies.patterns import matches_any
from keytrail.stream.policies.policy import Policy

RULE = Rule("shared_key", 1, "act", "high", "T1550.001", measure="peak")


def judge(conduct: Conduct, policy: Policy) -> Iterator[Verdict]:
    limits, name = policy.sharing, conduct.key_id
    if len(conduct.actors) <= limits.actors or matches_any(limits.expected, name):
        return
    by_day = Counter(day for days in conduct.actors.values() for day in days.firsts)
    shared = [day for day, actors in by_day.items() if actors > limits.actors]
    if not shared:
        return
    most = max(shared, key=lambda day: (by_day[day], -day))
    actors = sorted(actor for actor, days in conduct.actors.items() if most in days.firsts)
    yield Verdict(
        RULE,
        "key",
        name,
        "",
        f"Key {name} of {conduct.owner} was used by {len(actors)} actors on one day: {', '.join(actors)}.",
        f"Ask {conduct.owner} who has the key; give each a key of its own (keytrail keys issue), then: "
        f"keytrail keys rotate {quote(name)} --overlap 24h --reason 'shared by several'.",
        details={"owner": conduct.owner, "actors": ", ".join(actors)},
        evidence=tuple(conduct.actors[actor].firsts[most] for actor in actors),
        count=len(actors),
        since=min(shared) * DAY,
        until=max(shared) * DAY,
    )
