"""Putting an event before the rules, so that a rule that fails is itself a finding and stops nothing."""

import logging
from collections.abc import Callable, Iterable

from keytrail.schemas.records import Event
from keytrail.stream.access import Change, SubjectAccess
from keytrail.stream.detections import forged_event
from keytrail.stream.detections.catalogue import EVENT_RULES, RULES_BY_CHANGE, EventRule
from keytrail.stream.detections.rule_failure import failed
from keytrail.stream.detections.verdict import Verdict
from keytrail.stream.keys import KeyAtEvent
from keytrail.stream.policy import Policy
from keytrail.stream.signals import SignalBook
from keytrail.stream.signed import UNSIGNED, Signed

logger = logging.getLogger(__name__)

# An action is free text: what is remembered for each begins anew beyond this.
_MOST_REMEMBERED = 1_000


class Judge:
    """Asks every rule of the catalogue that an event may concern.  Not thread-safe."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._signs = bool(policy.signing.keys or policy.signing.services)
        self._failures: set[tuple[str, str]] = set()
        self._rules: dict[tuple[str, str], tuple[EventRule, ...]] = {}

    def event(self, event: Event, key: KeyAtEvent, book: SignalBook) -> list[str]:
        """Names of the rules that the event counts against, by itself and its key."""
        found = []
        rules = self._rules.get((event.action, key.status))
        for rule in self._concerned(event.action, key.status) if rules is None else rules:
            for verdict in self._ask(rule.judge, event, key):
                book.add(verdict, event)
                found.append(verdict.rule.name)
        return found

    def signature(self, event: Event, key: KeyAtEvent, signed: Signed, book: SignalBook) -> list[str]:
        """The same for whether the event is signed as it should be."""
        if signed is UNSIGNED and not self._signs:
            return []
        found = []
        for verdict in self._ask(forged_event.judge, event, key, signed):
            book.add(verdict, event)
            found.append(verdict.rule.name)
        return found

    def subject(self, event: Event, subject: SubjectAccess, change: Change, book: SignalBook) -> list[str]:
        """The same for what the event's subject holds, of which the event changed something."""
        found = []
        for judge in RULES_BY_CHANGE.get(change, ()):
            for verdict in self._ask(judge, event, subject):
                book.add(verdict, event)
                if verdict.holds and verdict.profile is None:
                    found.append(verdict.rule.name)
        return found

    def _concerned(self, action: str, status: str) -> tuple[EventRule, ...]:
        if len(self._rules) >= _MOST_REMEMBERED:
            self._rules.clear()
        rules = tuple(rule for rule in EVENT_RULES if rule.may_fire(action, status))
        self._rules[action, status] = rules
        return rules

    def _ask(
        self,
        judge: Callable[..., Iterable[Verdict]],
        event: Event,
        *about: KeyAtEvent | SubjectAccess | Signed,
    ) -> Iterable[Verdict]:
        try:
            return tuple(judge(event, *about, self._policy))
        except Exception as error:
            name, kind = judge.__module__.rpartition(".")[2], type(error).__name__
            if (name, kind) not in self._failures:
                self._failures.add((name, kind))
                logger.exception("The rule %s failed; it goes on without this event's verdict.", name)
            return (failed(name, kind),)
