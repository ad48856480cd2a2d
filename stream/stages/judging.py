"""Putting an event before the rules, so that a rule that fails is itself a finding and stops nothing."""

import logging
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import replace

from keytrail.schemas.records import Event, Key
from keytrail.stream.access.access import Change, SubjectAccess
from keytrail.stream.conduct.conduct import Conduct
from keytrail.stream.custom.rule import CustomJudge
from keytrail.stream.detections import (
    dormant_privileged_key,
    forged_event,
    impossible_travel,
    orphaned_access,
)
from keytrail.stream.detections.catalogue import (
    CONDUCT_RULES,
    EVENT_RULES,
    RULES_BY_CHANGE,
    SubjectRule,
)
from keytrail.stream.detections.orphaned_access import HeldGrant
from keytrail.stream.detections.rule_failure import failed
from keytrail.stream.detections.verdict import Verdict
from keytrail.stream.findings.signals import SignalBook
from keytrail.stream.keys.keys import KeyAtEvent, KeyTraits
from keytrail.stream.policies.places import Places
from keytrail.stream.policies.policy import Policy, RuleSetting
from keytrail.stream.policies.severity import shifted
from keytrail.stream.reading.signed import UNSIGNED, Signed

logger = logging.getLogger(__name__)

_Judge = Callable[..., Iterable[Verdict]]
# Those of the key, and the others.
_Judges = tuple[tuple[_Judge, ...], tuple[_Judge, ...]]
# An action is free text: what is remembered for each begins anew beyond this.
_MOST_REMEMBERED = 1_000


class Judge:
    """Asks every rule of the catalogue that an event may concern.  Not thread-safe."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.policy_version = policy.version
        self._signs = bool(policy.signing.keys or policy.signing.services)
        self._failures: set[tuple[str, str]] = set()
        self._concerned_by: dict[tuple[str, KeyTraits], _Judges] = {}
        self._settings = {setting.name: setting for setting in policy.rules}
        self._changes_severities = bool(policy.rules or policy.severity_shifts)
        off = {setting.name for setting in policy.rules if not setting.enabled}
        # Where all of these are off, nobody has to tell what keys do.
        self.judges_conduct = any(rule.rule.name not in off for rule in CONDUCT_RULES)
        # Or when privileged ones are used, where this one is.
        self._watches_rests = dormant_privileged_key.RULE.name not in off
        self._watched = ("watched", policy.version)  # what keys remember it by
        # And where people's keys are used, where this one is.
        self._places = None if impossible_travel.RULE.name in off else Places(policy.travel.places)
        self._of_grants = () if orphaned_access.RULE.name in off else (orphaned_access.judge,)
        self._of_conduct = [rule for rule in CONDUCT_RULES if rule.rule.name not in off]
        custom = [CustomJudge(rule) for rule in policy.custom_rules]
        self._custom_of_key = [judge for judge in custom if judge.of_key]
        self._custom_of_access = [judge for judge in custom if judge.of_access]
        self._custom = [judge for judge in custom if not judge.of_key and not judge.of_access]
        self._by_change = {change: self._enabled(judges) for change, judges in RULES_BY_CHANGE.items()}

    def by_key(self, event: Event, key: KeyAtEvent, signed: Signed) -> list[Verdict]:
        """What the rules say that look at the event's key, and at whether it is signed as it should be."""
        found = self._ask(self._concerned(event.action, key.traits)[0], event, key)
        if self._custom_of_key:
            found += self._by_custom(self._custom_of_key, event, key, None)
        if signed is not UNSIGNED or self._signs:
            found += self._ask((forged_event.judge,), event, key, signed)
        return found

    def by_itself(self, event: Event, key: KeyAtEvent) -> list[Verdict]:
        """What the other rules say that need the event alone."""
        found = self._ask(self._concerned(event.action, key.traits)[1], event, key)
        if self._custom:
            found += self._by_custom(self._custom, event, key, None)
        return found

    def by_access(self, event: Event, key: KeyAtEvent, subject: SubjectAccess | None) -> list[Verdict]:
        """What the policy's own rules say that ask what the subject holds, the event applied."""
        if not self._custom_of_access:
            return []
        return self._by_custom(self._custom_of_access, event, key, subject)

    def subject(self, event: Event, subject: SubjectAccess, change: Change, book: SignalBook) -> list[str]:
        """The same for what the event's subject holds, of which the event changed something."""
        found = []
        for verdict in self._ask(self._by_change.get(change, ()), event, subject):
            book.add(verdict, event)
            if verdict.holds and verdict.is_final:
                found.append(verdict.rule.name)
        return found

    def grant(self, held: HeldGrant) -> list[Verdict]:
        """What is to be said of a grant, now that more is known of its key."""
        return self._ask(self._of_grants, held)

    def place(self, event: Event, key: Key) -> str | None:
        """Where the key was used, if rules over it ask that."""
        return self._places.of(event) if self._places is not None and key.kind == "human" else None

    def is_watched(self, key: Key) -> bool:
        """Whether it matters for how long the key lies unused."""
        return self._watches_rests and dormant_privileged_key.concerns(key, self._policy)

    def watches(self, key: KeyAtEvent) -> bool:
        """The same of an event's key; worked out once."""
        if key.key is None:
            return False
        known = key.remembered.get(self._watched)
        if known is None:
            known = key.remembered[self._watched] = key.traits.is_scoped and self.is_watched(key.key)
        return known

    def conduct(self, conduct: Conduct, kinds: Set[str]) -> list[Verdict]:
        """What the rules say of what one key did, of which deeds of these kinds are new."""
        return self._ask(
            [rule.judge for rule in self._of_conduct if not rule.kinds.isdisjoint(kinds)], conduct
        )

    def as_set(self, verdicts: Iterable[Verdict]) -> Iterable[Verdict]:
        """Without those of rules that are off, and with the severities that the policy sets."""
        return self._as_set(verdicts, None)

    def _by_custom(
        self, judges: Sequence[CustomJudge], event: Event, key: KeyAtEvent, subject: SubjectAccess | None
    ) -> list[Verdict]:
        return self._ask([judge for judge in judges if judge.concerns(event.action)], event, key, subject)

    def _concerned(self, action: str, key: KeyTraits) -> _Judges:
        judges = self._concerned_by.get((action, key))
        if judges is None:
            if len(self._concerned_by) >= _MOST_REMEMBERED:
                self._concerned_by.clear()
            asked = [rule for rule in EVENT_RULES if rule.may_fire(action, key, self._policy)]
            of_key = tuple(rule.judge for rule in asked if rule.of_key)
            others = tuple(rule.judge for rule in asked if not rule.of_key)
            judges = self._concerned_by[action, key] = of_key, others
        return judges

    def _enabled(self, judges: tuple[SubjectRule, ...]) -> tuple[SubjectRule, ...]:
        """Without those whose rule is off: they note what they have said, and would have said nothing."""
        off = {name for name, setting in self._settings.items() if not setting.enabled}
        return tuple(judge for judge in judges if judge.__module__.rpartition(".")[2] not in off)

    def _ask(
        self,
        judges: Iterable[_Judge],
        *about: Event | KeyAtEvent | SubjectAccess | HeldGrant | Signed | Conduct | None,
    ) -> list[Verdict]:
        found: list[Verdict] = []
        asked = (*about, self._policy)
        for judge in judges:
            try:
                verdicts = tuple(judge(*asked))
            except Exception as error:  # noqa: BLE001 - it is logged, and a finding
                verdicts = (self._failed(judge, error),)
            if verdicts:
                found += self._as_set(verdicts, about[0]) if self._changes_severities else verdicts
        return found

    def _failed(self, judge: _Judge, error: Exception) -> Verdict:
        name = judge.name if isinstance(judge, CustomJudge) else judge.__module__.rpartition(".")[2]
        kind = type(error).__name__
        if (name, kind) not in self._failures:
            self._failures.add((name, kind))
            logger.error("The rule %s failed; it goes on without its verdict.", name, exc_info=error)
        return failed(name, kind)

    def _as_set(self, verdicts: Iterable[Verdict], about: object) -> Iterable[Verdict]:
        """Without those of rules that are off, and with the severities that the policy sets."""
        for verdict in verdicts:
            setting = self._settings.get(verdict.rule.name, RuleSetting(verdict.rule.name))
            if not setting.enabled:
                continue
            severity = setting.severity or verdict.severity
            if isinstance(about, Event) and verdict.profile is None:
                severity = shifted(severity or verdict.rule.severity, verdict.rule.name, about, self._policy)
            yield replace(verdict, severity=severity)


class Judges:
    """A judge for each policy, made when it is first asked for.  Not thread-safe."""

    def __init__(self) -> None:
        self._by_version: dict[str, Judge] = {}

    def of(self, policy: Policy) -> Judge:
        judge = self._by_version.get(policy.version)
        if judge is None:
            judge = self._by_version[policy.version] = Judge(policy)
        return judge
