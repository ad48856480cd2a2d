"""Overdue grant: a role that was granted until some time is still held after it.

Formula: the day of `expires_at`, and the whole day after it, have passed before the subject's latest event,
and no revoke came.  Seen with the subject's next event, not by the clock.  Resolves when the role is revoked,
or granted anew.  False positives: systems that let a grant lapse and do not report it; have them send a
revoke.  ATT&CK T1098.003 (Additional Cloud Roles); OWASP NHI1:2025 (Improper Offboarding).
"""

from collections.abc import Iterable, Iterator

from keytrail.schemas.records import Event
from keytrail.stream.access.access import SubjectAccess
from keytrail.stream.detections.verdict import Rule, Verdict
from keytrail.stream.policies.policy import Policy

RULE = Rule("overdue_grant", 1, "condition", "medium", "T1098.003")


def judge(event: Event, access: SubjectAccess, policy: Policy) -> Iterable[Verdict]:  # noqa: ARG001
    """What changed with this event; `access` already holds it, and its `overdue` is brought up to date."""
    return _changed(event, access) if access.ending() or access.overdue else ()


def _changed(event: Event, access: SubjectAccess) -> Iterator[Verdict]:
    now = {name: role for name, role in access.ending() if access.latest_day > role.ends_day + 1}
    for name in sorted(access.overdue - now.keys()):
        access.overdue.discard(name)
        summary = f"{event.whose} no longer holds {name} beyond its end."
        yield Verdict(RULE, "subject", event.whose, name, summary, "", holds=False)
    for name in sorted(now.keys() - access.overdue):
        access.overdue.add(name)
        yield Verdict(
            RULE,
            "subject",
            event.whose,
            name,
            f"{event.whose} still holds {name}, which was granted for a time that is over.",
            f"Revoke {name} from {event.whose}, or grant it anew with a later end.",
            details={"used_since": "yes" if now[name].last_used_day > now[name].ends_day else "no"},
            evidence=(now[name].changed,),
        )
