"""A policy's own rules, as the rules of the catalogue are asked."""

from collections.abc import Iterator

from keytrail.schemas.records import Event
from keytrail.stream.access.access import SubjectAccess
from keytrail.stream.custom.expression import compiled
from keytrail.stream.custom.template import fields_in, filled
from keytrail.stream.detections.catalogue import RULES
from keytrail.stream.detections.verdict import Rule, Verdict
from keytrail.stream.keys.keys import KeyAtEvent
from keytrail.stream.policies.patterns import matches_any
from keytrail.stream.policies.policy import CustomRule, Policy

PREFIX = "custom_"  # of their names, so that no rule of the catalogue ever has the same


def rule_named(name: str) -> Rule:
    """Such a rule's standing facts, which are the same for all; its severity comes with each verdict."""
    return Rule(name, 1, "act", "medium", None)


def rule_of(name: str) -> Rule:
    """The rule that a finding names, of the catalogue or of a policy."""
    return RULES.get(name) or rule_named(name)


class CustomJudge:
    """Asks one rule.  `of_access`: it wants to know what the subject holds; `of_key`: or of the key alone.

    Raises `ExpressionError` for a rule that `policy check` would refuse.
    """

    def __init__(self, rule: CustomRule) -> None:
        self.name = rule.name
        self._rule = rule
        self._when = compiled(rule.when)
        texts = (rule.summary, rule.remedy, rule.cause)
        sources = set(self._when.wanted).union(*(fields_in(text) for text in texts))
        self.of_access = "access" in sources
        self.of_key = "key" in sources and not self.of_access

    def concerns(self, action: str) -> bool:
        return matches_any(self._rule.actions, action)

    def __call__(
        self, event: Event, key: KeyAtEvent, access: SubjectAccess | None, _policy: Policy
    ) -> Iterator[Verdict]:
        """Raises what the expression does."""
        entity = self._entity(event)
        about = (event, key, access)
        if entity and self._when.holds(about):
            rule = self._rule
            yield Verdict(
                rule_named(rule.name),
                "key" if rule.entity == "key" else "subject",
                entity,
                filled(rule.cause, about),
                filled(rule.summary, about),
                filled(rule.remedy, about),
                severity=rule.severity,
            )

    def _entity(self, event: Event) -> str:
        if self._rule.entity == "key":
            return event.key_name or ""
        return event.whose if self._rule.entity == "subject" else event.actor_id
