"""Orphaned access: roles are held that a key gave, and that key was revoked, or its owner left, soon after.

Formula: a role's latest grant was made with a registered key, the role is still held, and one of these has
happened, which is the cause:

    compromised  the key was revoked for a reason like one of `lineage.compromise_reasons`; of high severity
    revoked      the key was revoked at most `orphans.access_days` after the grant, and has no successor
    owner left   the key's owner was deleted at most `orphans.access_days` after the grant

The grant counts for what happened first; and besides for `compromised`, whenever that was.

One finding for a key and cause, which counts the roles; each is taken back once it is revoked or granted by
another key, or the owner is back, and with the last one the finding resolves.  By the events' time: nothing
is told before events have come that are as late as the revocation or the departure.

Of each key the latest grants of each partition are looked at (`stages.uses`), and any later one.

False positives: an administrator's last days of ordinary work; have a colleague confirm those grants, by
granting them anew, or name the key in an exception.  ATT&CK T1098.003 (Additional Cloud Roles); OWASP
NHI1:2025 (Improper Offboarding).  Source of the idea: revoking a stolen key leaves what was given with it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from shlex import quote

from keytrail.schemas.records import Event, Key, Micros, Occurrence
from keytrail.stream.access.access import Orphaned, SubjectAccess
from keytrail.stream.detections.verdict import Rule, Verdict
from keytrail.stream.keys.keys import KeyAtEvent
from keytrail.stream.policies.policy import Policy

RULE = Rule("orphaned_access", 1, "act", "medium", "T1098.003")
_DAY = 24 * 3600 * 1_000_000
_COMPROMISED, _REVOKED, _OWNER_LEFT = "compromised", "revoked", "owner left"


@dataclass(frozen=True)
class HeldGrant:
    """A role that `subject` holds, and the key of its latest grant; events have come as late as `reached`."""

    subject: str
    access: SubjectAccess
    role: str
    key: KeyAtEvent
    reached: Micros


def ends_of(key: KeyAtEvent) -> list[Micros]:
    """When something happened by which the key's grants may be orphaned."""
    revoked_at = key.key.revoked_at if key.key is not None else None
    return [at for at in (revoked_at, key.owner_left) if at is not None]


def judge(held: HeldGrant, policy: Policy) -> Iterator[Verdict]:
    """Tells of the grant, or takes it back; `orphaned` of the subject's access is brought up to date."""
    key, at = held.key.key, held.access.roles[held.role].changed
    if key is None:
        return
    told = held.access.orphaned.pop(held.role, ())
    causes = _causes(held.key, key, at.occurred_at, held.reached, policy)
    now = {Orphaned(key.key_id, cause, at.occurred_at, at.event_id): since for cause, since in causes}
    if now:
        held.access.orphaned[held.role] = tuple(now)
    for one in told:
        if one not in now:
            yield _taken_back(held.subject, held.role, one)
    for one, since in now.items():
        if one not in told:
            yield _told(held, key, one.cause, since)


def judge_change(event: Event, access: SubjectAccess, policy: Policy) -> Iterator[Verdict]:  # noqa: ARG001
    """What remains no longer: its role was revoked, or granted anew.  `access` already holds the event."""
    for name, told in sorted(access.orphaned.items()):
        role = access.roles.get(name)
        if role is None or not role.held or role.changed.event_id != told[0].event_id:
            del access.orphaned[name]
            yield from (_taken_back(event.whose, name, one) for one in told)


def _causes(
    at_event: KeyAtEvent, key: Key, granted: Micros, reached: Micros, policy: Policy
) -> list[tuple[str, Micros]]:
    """Which causes there are, and since when; the one that was first comes first."""
    window = policy.orphans.access_days * _DAY
    revoked, left = key.revoked_at, at_event.owner_left
    ends: list[tuple[Micros, str]] = []
    if revoked is not None and revoked <= reached:
        if policy.lineage.is_compromise(key.reason):
            ends.append((revoked, _COMPROMISED))
        elif key.successor is None and granted >= revoked - window:
            ends.append((revoked, _REVOKED))
    if left is not None and left <= reached and granted >= left - window:
        ends.append((left, _OWNER_LEFT))
    ends.sort()
    return [(cause, at) for n, (at, cause) in enumerate(ends) if n == 0 or cause == _COMPROMISED]


def _told(held: HeldGrant, key: Key, cause: str, since: Micros) -> Verdict:
    day = f"{datetime.fromtimestamp(since / 1e6, UTC):%Y-%m-%d}"
    why = key.reason or "no reason stated"
    what = {
        _COMPROMISED: f"which was revoked on {day} ({why})",
        _REVOKED: f"which was revoked on {day} ({why})",
        _OWNER_LEFT: f"whose owner {key.owner} left on {day}",
    }[cause]
    return Verdict(
        RULE,
        "key",
        key.key_id,
        cause,
        f"{held.subject} still holds {held.role}, which was granted with key {key.key_id}, {what}.",
        "Revoke what was granted with it, or have somebody grant anew what is needed: "
        f"keytrail report chain --param key_id={quote(key.key_id)} shows what it did.",
        severity="high" if cause == _COMPROMISED else "",
        details={"owner": key.owner, "since": day, "subject": held.subject, "role": held.role},
        evidence=(held.access.roles[held.role].changed,),
    )


def _taken_back(subject: str, role: str, told: Orphaned) -> Verdict:
    return Verdict(
        RULE,
        "key",
        told.key_id,
        told.cause,
        f"{subject} no longer holds {role} by a grant of {told.key_id}.",
        "",
        holds=False,
        evidence=(Occurrence(told.at, told.event_id),),
    )
