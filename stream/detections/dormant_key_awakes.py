"""Dormant key awakes: a key that had long lain unused is used again.

Formula, in UTC days, for each of the key's latest days of use d, with p the day of use before it, or for
its very first use the day on which it was issued:

    d - p >= dormancy.days

The issue counts only for keys that were issued after the first event that keytrail ever saw: of older ones
nobody knows whether they were used.  Refused uses count: somebody has the key.  The count is the number of
days it lay unused, and the finding goes where an event that comes late shows that it did not. False
positives: keys of yearly tasks; a break-glass key is meant to lie unused, and `break_glass_use` tells of
it. ATT&CK T1078 (Valid Accounts); OWASP NHI1:2025 (Improper Offboarding), NHI7:2025 (Long-Lived Secrets).
Source of the idea: unused-credential reports of cloud vendors (AWS IAM credential report, 90 days as in CIS
AWS 1.12).
"""

from collections.abc import Iterator
from shlex import quote

from keytrail.schemas.records import Occurrence
from keytrail.stream.conduct.conduct import Conduct
from keytrail.stream.conduct.tallies import DAY
from keytrail.stream.detections.verdict import Rule, Verdict
from keytrail.stream.policies.policy import Policy

RULE = Rule("dormant_key_awakes", 1, "act", "medium", "T1078", measure="figure")


def judge(conduct: Conduct, policy: Policy) -> Iterator[Verdict]:
    if conduct.break_glass:
        return
    latest, name = _latest(conduct, policy.dormancy.days), conduct.key_id
    if latest is None:
        if conduct.awoke and conduct.days.is_whole:
            conduct.awoke = False
            yield Verdict(RULE, "key", name, "", "It was in use.", "", holds=False)
        return
    at, rest = latest
    conduct.awoke = True
    yield Verdict(
        RULE,
        "key",
        name,
        "",
        f"Key {name} of {conduct.owner} was used after it had lain unused for {rest} days.",
        f"Ask {conduct.owner} whether this was meant; if not: keytrail keys suspend {quote(name)} "
        "--reason 'used after long rest'; if nobody needs it: keytrail keys revoke it.",
        details={"owner": conduct.owner, "days": str(rest)},
        evidence=(at,),
        count=rest,
    )


def _latest(conduct: Conduct, least: int) -> tuple[Occurrence, int] | None:
    """The first event after the latest rest, and how many days that was."""
    days, issued = conduct.days, conduct.issued_at
    if not days.numbers:
        return None
    begin = days.numbers[0] if issued is None else min(days.numbers[0], issued // DAY)
    if days.numbers[-1] - begin < least:
        return None  # no such rest fits in
    for day in sorted(days.firsts, reverse=True):
        place = days.before(day)
        if place > 0:
            before = days.numbers[place - 1]
        elif day == days.very_first and issued is not None:
            before = issued // DAY
        else:
            continue
        if day - before >= least:
            return days.firsts[day], day - before
    return None
