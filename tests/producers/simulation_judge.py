"""A naive judge of the first rules, as they are defined: all history in memory, nothing clever.

It shares no code with the stream; the simulation's labels are held against it.
"""

import ipaddress
import itertools
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, time
from fnmatch import fnmatchcase
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

from conduct_judge import ConductJudge
from dormancy_judge import DormancyJudge
from grants_judge import GrantsJudge
from reviews_judge import ReviewsJudge
from sequence_judge import SequenceJudge
from signature_judge import SignatureJudge
from silence_judge import SilenceJudge

from keytrail.producers.signing import Sign, unsigned
from keytrail.producers.simulation import Finding
from keytrail.schemas.records import Event, Key

_DAY = 24 * 3600 * 1_000_000
_ACCESS_CHANGES = {
    "grant",
    "revoke",
    "issue_key",
    "rotate_key",
    "revoke_key",
    "suspend_key",
    "update_trust",
}
_PRIVILEGED = ["*admin*", "*fullaccess*", "*poweruser*", "*superuser*", "root", "owner", "*:*"]
_APART = [
    ("payments", ("-payment-creator", ".payment.create"), ("-payment-approver", ".payment.approve")),
    ("code and release", ("-code-author",), ("-release-approver",)),
]
_WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]


def judge(
    keys: Iterable[Key], events: Iterable[Event], policy: str = "{}", sign: Sign = unsigned
) -> set[Finding]:
    """Every finding that the events ever give rise to, in the order given; `policy` as JSON."""
    return _Judge(keys, json.loads(policy), sign).judge(events)


def _approved(event: Event) -> bool:
    return bool(event.ticket and event.approved_by) and event.approved_by not in (
        event.actor_id,
        event.subject,
    )


class _Subject:
    def __init__(self) -> None:
        self.team = ""
        self.latest = 0
        self.held: dict[str, tuple[int, list[str]]] = {}  # role -> (granted at, permissions), oldest first
        self.ends: dict[str, int] = {}
        self.used: dict[str, int] = {}
        self.seen_in: dict[str, list[int]] = {}  # team -> days
        self.granted_in: dict[str, str] = {}  # role -> team
        self.granted_where: dict[str, str | None] = {}  # role -> environment
        self.turns: dict[str, list[tuple[int, str]]] = {}  # role -> (when, action), all of them


class _TeamRole:
    def __init__(self, first: int) -> None:
        self.first = first
        self.holders: set[str] = set()
        self.permissions: frozenset[str] = frozenset()


class _Judge:
    def __init__(self, keys: Iterable[Key], policy: dict[str, Any], sign: Sign) -> None:
        self._exceptions = policy.get("exceptions", ())
        self._described = {role["name"]: role for role in policy.get("roles", ())}
        self._by_place = [
            each for each in policy.get("separations", ()) if {"environments", "within"} & set(each)
        ]
        self._keys: dict[str, Key] = {}
        for key in keys:
            for name in (key.key_id, *key.aliases):
                self._keys[name] = key
        self._roles: dict[str, dict[str, _TeamRole]] = {}
        self._left: dict[str, int] = {}
        self._subjects: dict[str, _Subject] = {}
        self._found: set[Finding] = set()
        self._conduct = ConductJudge()
        self._grants = GrantsJudge(self._keys)
        self._silence = SilenceJudge()
        self._reviews = ReviewsJudge()
        self._sequences = SequenceJudge()
        self._signatures = SignatureJudge(self._keys, policy.get("signing", {}), sign)
        self._dormancy = DormancyJudge({key.key_id: key for key in self._keys.values()}.values())

    def judge(self, events: Iterable[Event]) -> set[Finding]:
        for event in events:
            self._silence.note(event)
            self._sequences.note(event)
            key = self._keys.get(event.key_id or event.key_alias or "")
            self._reviews.note(event, key)
            self._dormancy.note(event, key)
            self._found.update(self._signatures.judge(event))
            self._by_key(event)
            self._by_act(event)
            self._by_state(event)
            self._grants.note(event)
        conduct, grants = self._conduct.findings(), self._grants.findings()
        absent = {*self._silence.findings(), *self._reviews.findings(), *self._dormancy.findings()}
        found = self._found | conduct | grants | absent | set(self._sequences.findings())
        return found | {over for one in found for over in self._expired(one)}

    def _expired(self, finding: Finding) -> Iterator[Finding]:
        today = datetime.now(UTC).date().isoformat()
        covers = [
            one["until"] >= today
            for one in self._exceptions
            if one["rule"] == finding.rule
            and fnmatchcase(finding.entity, one["entity"])
            and fnmatchcase(finding.cause, one["cause"])
        ]
        if covers and not any(covers):
            cause = f"{finding.rule} {finding.cause}".strip()
            yield Finding("expired_exception", finding.entity_type, finding.entity, cause)

    def _find(self, rule: str, entity_type: str, entity: str, cause: str = "") -> None:
        self._found.add(Finding(rule, entity_type, entity, cause))

    def _by_key(self, event: Event) -> None:
        name = event.key_id or event.key_alias
        if name is None:
            return
        key = self._keys.get(name)
        if key is None:
            self._find("unknown_key", "key", name)
            return
        self._by_parents(event, key)
        works = key.revoked_at is None or event.occurred_at < key.revoked_at
        if works and event.occurred_at >= self._left.get(key.owner, sys.maxsize) + _DAY:
            self._find("orphaned_key", "key", key.key_id)
        if key.revoked_at is not None and event.occurred_at >= key.revoked_at:
            self._find("revoked_key", "key", key.key_id)
        elif key.expires_at is not None and event.occurred_at >= key.expires_at:
            self._find("expired_key", "key", key.key_id)
        elif key.suspended_at is not None and event.occurred_at >= key.suspended_at:
            self._find("suspended_key", "key", key.key_id)
        self._conduct.note(event, key)
        if key.break_glass:
            self._find("break_glass_use", "key", key.key_id)
        if key.kind == "service" and event.action == "login":
            self._find("interactive_service_key", "key", key.key_id)
        for dimension in _outside(event, key):
            self._find("out_of_scope", "key", key.key_id, dimension)

    def _by_parents(self, event: Event, key: Key) -> None:
        above = []
        parent = self._keys.get(key.parent_key or "")
        while parent is not None:
            above.append(parent)
            parent = self._keys.get(parent.parent_key or "")
        if event.action == "issue_key" and event.outcome == "success" and len(above) >= 2:
            self._find("key_lineage", "key", key.key_id)
        for each in above:
            grace = 0 if each.reason == "compromised" else 7 * _DAY
            if each.revoked_at is not None and event.occurred_at >= each.revoked_at + grace:
                self._find("orphaned_child_key", "key", key.key_id, each.key_id)

    def _by_act(self, event: Event) -> None:
        succeeded = event.outcome == "success"
        if event.action == "grant" and event.role is not None and succeeded:
            self._by_grant(event, event.role)
        by_its_own = event.approved_by in (event.actor_id, event.subject or event.actor_id)
        if event.action in _ACCESS_CHANGES and succeeded and by_its_own:
            self._find("self_approval", "subject", event.approved_by or "")
        if event.occurred_at > event.recorded_at + 120_000_000:
            self._find("clock_skew", "service", event.service)
        if event.action in {"update_trust", "update_policy"} and succeeded:
            self._by_clock(event)
        if event.action == "issue_key" and succeeded and event.subject not in (None, event.actor_id):
            key = self._keys.get(event.key_id or "")
            if key is None or "issue_key" not in key.scope_actions:
                self._find("key_for_other", "subject", event.whose, event.resource or "key")
        if event.action == "update_trust" and succeeded:
            self._find("trust_change", "subject", event.whose)
        if event.action in _ACCESS_CHANGES and succeeded and not event.reason and not event.ticket:
            if event.key_id:
                self._find("missing_reason", "key", event.key_id)
            else:
                self._find("missing_reason", "service", event.service)

    def _by_grant(self, event: Event, role: str) -> None:
        if _approved(event):
            return
        if _matches(_PRIVILEGED, role):
            self._find("privileged_grant", "subject", event.whose, role)
        elif any(permission.endswith((".grant-roles", ".issue-keys")) for permission in event.permissions):
            self._find("escalation_path", "subject", event.whose, role)
        if event.subject == event.actor_id:
            self._find("self_grant", "subject", event.actor_id, role)

    def _by_clock(self, event: Event) -> None:
        at = datetime.fromtimestamp(event.occurred_at / 1e6, UTC)
        is_open = at.weekday() < 5 and 6 <= at.hour < 20
        key = self._keys.get(event.key_id or "")
        is_emergency = (event.ticket or "").startswith(("INC-", "SEV-")) or (
            key is not None and key.break_glass
        )
        if event.environment == "production" and not is_open and not is_emergency:
            self._find("outside_change_window", "subject", event.actor_id, "production policies")

    def _by_state(self, event: Event) -> None:
        subject = self._subjects.setdefault(event.whose, _Subject())
        team = event.attributes.get("team") or f"service:{event.service}"
        teams = {subject.team, team}
        subject.team = team
        subject.latest = max(subject.latest, event.occurred_at)
        changed = len(teams) > 1
        is_gone = (
            event.action == "delete" and event.role is None and event.subject not in (None, event.actor_id)
        )
        is_change = event.action in {"grant", "revoke"} and event.role is not None
        if is_gone or (is_change and event.outcome == "success"):
            self._team_roles(event)
        if is_gone:
            self._left[event.whose] = event.occurred_at
            subject.held = {}
        if event.action == "grant":
            self._left.pop(event.whose, None)
        subject.seen_in.setdefault(team, []).append(event.occurred_at // _DAY)
        if event.outcome == "success" and event.role is not None:
            if event.action == "grant":
                subject.held.pop(event.role, None)
                subject.held[event.role] = (event.occurred_at, event.permissions)
                subject.granted_in[event.role] = team
                subject.granted_where[event.role] = event.environment
                subject.ends[event.role] = event.expires_at or sys.maxsize
                changed = True
            elif event.action == "revoke":
                subject.held.pop(event.role, None)
                changed = True
            elif event.action == "use":
                subject.used[event.role] = max(subject.used.get(event.role, 0), event.occurred_at)
        if event.outcome == "success" and event.action in {"grant", "revoke"} and event.role is not None:
            self._flapping(event.whose, event.role, subject.turns.setdefault(event.role, []), event)
        for role in subject.held:
            origin = subject.granted_in[role]
            moved = max(*subject.seen_in[origin], min(subject.seen_in[team]))
            days_away = subject.latest // _DAY - moved
            if origin != team and days_away > 14 and not role.startswith("workplace-"):
                self._find("mover_keeps_roles", "subject", event.whose, origin)
            if subject.latest // _DAY > subject.ends[role] // _DAY + 1:
                self._find("overdue_grant", "subject", event.whose, role)
        if changed:
            self._redundant(event.whose, subject)
            for name, one, other in _APART:
                gives = [text for role, (_, some) in subject.held.items() for text in (role, *some)]
                if any(text.endswith(one) for text in gives) and any(text.endswith(other) for text in gives):
                    self._find("toxic_combination", "subject", event.whose, name)
            self._apart_by_place(event.whose, subject)
            for each in teams:
                self._sprawling(each)
        elif len(subject.held) >= 8:
            self._sprawling(team)

    def _team_roles(self, event: Event) -> None:
        """Call it before the subject's roles are changed."""
        before = self._subjects[event.whose]
        gone = list(before.held) if event.action == "delete" else [event.role]
        for role in gone:
            for team in self._roles.values():
                if role in team:
                    team[role].holders.discard(event.whose)
        name = event.attributes.get("team", "")
        roles = self._roles.setdefault(name, {})
        if event.action == "grant" and event.role is not None:
            known = roles.setdefault(event.role, _TeamRole(event.occurred_at))
            known.holders.add(event.whose)
            known.permissions = frozenset(event.permissions)
        if len(roles) < 30:
            return
        held = [role for role in roles.values() if role.holders]
        alike = Counter(role.permissions for role in held)
        together = Counter(frozenset(role.holders) for role in held if len(role.holders) > 1)
        today = event.occurred_at // _DAY
        counts = {
            "one holder": sum(len(role.holders) == 1 for role in held),
            "nobody": len(roles) - len(held),
            "identical": sum(alike[role.permissions] > 1 for role in held),
            "same holders": sum(count for count in together.values() if count > 1),
        }
        for cause, count in counts.items():
            if count >= 30 and 2 * count >= len(roles):
                self._find("role_explosion", "team", name, cause)
        is_settled = today - 7 - min(role.first for role in roles.values()) // _DAY >= 30
        if is_settled and sum(role.first // _DAY > today - 7 for role in roles.values()) >= 30:
            self._find("role_explosion", "team", name, "new")

    def _flapping(self, name: str, role: str, turns: list[tuple[int, str]], event: Event) -> None:
        turns.append((event.occurred_at, event.action))
        turns.sort()
        ended = [
            (begin, end)
            for (begin, grant), (end, revoke) in itertools.pairwise(turns)
            if (grant, revoke) == ("grant", "revoke")
        ]
        for _, last in ended:
            if sum(begin >= last - 4 * 3_600_000_000 and end <= last for begin, end in ended) >= 3:
                self._find("flapping", "subject", name, role)
        if _matches(_PRIVILEGED, role) and any(end - begin <= 600_000_000 for begin, end in ended):
            self._find("flapping", "subject", name, role)

    def _redundant(self, name: str, subject: _Subject) -> None:
        given: list[str] = []
        included: set[str] = set()
        for role, (_, stated) in subject.held.items():
            within = self._within(role)
            of_policy = [p for each in within for p in self._described.get(each, {}).get("permissions", ())]
            permissions = [*stated, *of_policy]
            is_given = permissions and all(_matches(given, permission) for permission in permissions)
            if is_given or role in included:
                self._find("redundant_grant", "subject", name, role)
            given += permissions
            included |= within

    def _within(self, role: str) -> set[str]:
        """The role and all that the policy says is in it."""
        within = self._described.get(role, {}).get("includes", ())
        return {role}.union(*(self._within(each) for each in within))

    def _apart_by_place(self, name: str, subject: _Subject) -> None:
        for apart in self._by_place:
            places = [
                {subject.granted_where[role] for role in subject.held if _matches(apart[side], role)}
                for side in ("first", "second")
            ]
            shared = places[0] & places[1]
            if shared & set(apart.get("environments", shared)):
                self._find("toxic_combination", "subject", name, apart["name"])

    def _sprawling(self, team: str) -> None:
        members = {name: s for name, s in self._subjects.items() if s.team == team and s.held}
        suspects = {name: s for name, s in members.items() if len(s.held) >= 8}
        if not suspects:
            return
        usual = median(len(s.held) for s in members.values())
        spread = median(abs(len(s.held) - usual) for s in members.values())
        most = max(2 * usual, usual + 3 * 1.4826 * spread)
        for name, subject in suspects.items():
            held = len(subject.held)
            if held < 15 if len(members) < 5 else held < most:
                continue
            unused = sum(subject.used.get(r, -1) <= subject.latest - 90 * _DAY for r in subject.held)
            grown = sum(at > subject.latest - 30 * _DAY for at, _ in subject.held.values())
            if 2 * unused >= held or grown >= 5:
                self._find("role_sprawl", "subject", name, team)


def _outside(event: Event, key: Key) -> list[str]:
    found = []
    if key.scope_actions and not _matches(key.scope_actions, event.action):
        found.append("action")
    is_role_matter = event.action in {"grant", "use"} and event.role is not None
    if is_role_matter and key.scope_roles and not _matches(key.scope_roles, event.role or ""):
        found.append("role")
    if event.resource and key.scope_resources and not _matches(key.scope_resources, event.resource):
        found.append("resource")
    if event.environment and key.scope_environments and event.environment not in key.scope_environments:
        found.append("environment")
    if event.source_ip and key.scope_networks:
        address = ipaddress.ip_address(event.source_ip)
        if not any(address in ipaddress.ip_network(network) for network in key.scope_networks):
            found.append("network")
    if key.scope_hours and not _within(key.scope_hours, event.occurred_at):
        found.append("hours")
    return found


def _within(hours: str, at: int) -> bool:
    """`hours` as the simulation writes them: `Mon-Fri 07:00-19:00 Europe/Berlin`."""
    days, times, zone = hours.split(" ")
    first, last = (_WEEKDAYS.index(day) for day in days.split("-"))
    begin, end = (time.fromisoformat(text) for text in times.split("-"))
    local = datetime.fromtimestamp(at / 1e6, UTC).astimezone(ZoneInfo(zone))
    return first <= local.weekday() <= last and begin <= local.time() < end


def _matches(patterns: Iterable[str], name: str) -> bool:
    return any(fnmatchcase(name.lower(), pattern.lower()) for pattern in patterns)
