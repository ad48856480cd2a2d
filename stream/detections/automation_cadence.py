"""Automation cadence: a person's key is used round the clock, as no person works.

Formula, for any 24 full hours (UTC) in a row, with n those of them in which the key was used:

    n >= cadence.hours            for keys of the kind human

Hours with any use are robust where intervals are not: retries, bursts and pauses of a job change its rhythm
and its rate, but not that it does not sleep, while people make hundreds of calls a minute by one click.
Twenty hours leave a person four to sleep in, even one that is on call.  The count is the highest n, and a
finding's times are full hours. False positives: keys that two people share around the globe, which
`shared_key` tells of as well; agents that act in a person's name: give them a key of a service. ATT&CK
T1078 (Valid Accounts); OWASP NHI10:2025 (Human Use of NHI), seen from the other side. Source of the idea:
round-the-clock activity as a mark of bots in user-behaviour analytics.
"""

from collections.abc import Iterator
from shlex import quote

from keytrail.stream.conduct.conduct import Conduct
from keytrail.stream.conduct.tallies import HOUR
from keytrail.stream.detections.verdict import Rule, Verdict
from keytrail.stream.policies.policy import Policy

RULE = Rule("automation_cadence", 1, "act", "medium", "T1078", measure="peak")
_DAY_HOURS = 24


def judge(conduct: Conduct, policy: Policy) -> Iterator[Verdict]:
    least, name = policy.cadence.hours, conduct.key_id
    if conduct.kind != "human" or len(conduct.hours) < least:
        return
    busy = list(_busy_days(sorted(conduct.hours), least))
    if not busy:
        return
    most = max(busy, key=lambda hours: (len(hours), -hours[0]))
    yield Verdict(
        RULE,
        "key",
        name,
        "",
        f"Key {name} of {conduct.owner}, a person, was used in {len(most)} of 24 hours.",
        f"Ask {conduct.owner} which program uses it; give that a key of its own (keytrail keys issue --kind "
        f"service), then: keytrail keys rotate {quote(name)} --overlap 24h --reason 'a program has it'.",
        details={"owner": conduct.owner, "hours": str(len(most))},
        evidence=tuple(conduct.hours[hour] for hour in most),
        count=len(most),
        since=busy[0][0] * HOUR,
        until=busy[-1][-1] * HOUR,
    )


def _busy_days(hours: list[int], least: int) -> Iterator[list[int]]:
    """For each hour, those of the 24 up to it in which there was use, where they are as many."""
    begin = 0
    for end, hour in enumerate(hours, 1):
        while hours[begin] <= hour - _DAY_HOURS:
            begin += 1
        if end - begin >= least:
            yield hours[begin:end]
