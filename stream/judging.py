"""Putting an event before the rules, so that a rule that fails is itself a finding and stops nothing."""

import logging
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from keytrail.schemas.records import Event
from keytrail.stream.access import Change, SubjectAccess
from keytrail.stream.detections.catalogue import EVENT_RULES, RULES_BY_CHANGE
from keytrail.stream.detections.rule_failure import failed
from keytrail.stream.detections.verdict import Verdict
from keytrail.stream.keys import KeyAtEvent
from keytrail.stream.policy import Policy
from keytrail.stream.signals import SignalBook

logger = logging.getLogger(__name__)


class Judge:
    """Asks every rule of the catalogue.  Not thread-safe."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._failures: set[tuple[str, str]] = set()

    def event(self, event: Event, key: KeyAtEvent, book: SignalBook) -> list[str]:
        """Names of the rules that the event counts against, by itself and its key."""
        found = []
        for judge in EVENT_RULES:
            for verdict in self._ask(judge.__module__, partial(judge, event, key, self._policy)):
                book.add(verdict, event)
                found.append(verdict.rule.name)
        return found

    def subject(self, event: Event, subject: SubjectAccess, change: Change, book: SignalBook) -> list[str]:
        """The same for what the event's subject holds, of which the event changed something."""
        found = []
        for judge in RULES_BY_CHANGE.get(change, ()):
            ask = self._ask(judge.__module__, partial(judge, event, subject, self._policy))
            for verdict in ask:
                book.add(verdict, event)
                if verdict.holds and verdict.profile is None:
                    found.append(verdict.rule.name)
        return found

    def _ask(self, module: str, rule: Callable[[], Iterable[Verdict]]) -> Iterator[Verdict]:
        name = module.rpartition(".")[2]
        try:
            yield from list(rule())
        except Exception as error:
            kind = type(error).__name__
            if (name, kind) not in self._failures:
                self._failures.add((name, kind))
                logger.exception("The rule %s failed; it goes on without this event's verdict.", name)
            yield failed(name, kind)
