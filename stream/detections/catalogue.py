"""The catalogue: every rule, and the order in which an event meets them.

To add a rule, write its module and name it here.
"""

from collections.abc import Callable, Iterable

from keytrail.schemas.records import Event
from keytrail.stream.access import Change, SubjectAccess
from keytrail.stream.detections import (
    inactive_key,
    key_for_other,
    missing_reason,
    out_of_scope,
    privileged_grant,
    redundant_grant,
    role_sprawl,
    rule_failure,
    trust_change,
    unknown_key,
)
from keytrail.stream.detections.verdict import Rule, Verdict
from keytrail.stream.keys import KeyAtEvent
from keytrail.stream.policy import Policy

EventRule = Callable[[Event, KeyAtEvent, Policy], Iterable[Verdict]]
SubjectRule = Callable[[Event, SubjectAccess, Policy], Iterable[Verdict]]

# Rules that need the event and its key alone.
EVENT_RULES: tuple[EventRule, ...] = (
    unknown_key.judge,
    inactive_key.judge,
    out_of_scope.judge,
    privileged_grant.judge,
    key_for_other.judge,
    trust_change.judge,
    missing_reason.judge,
)

# Rules over what a subject holds, by the change that may move them.
RULES_BY_CHANGE: dict[Change, tuple[SubjectRule, ...]] = {
    Change.HOLDING: (redundant_grant.judge, role_sprawl.judge),
    Change.USE: (role_sprawl.judge,),
}

RULES: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        unknown_key.RULE,
        inactive_key.EXPIRED,
        inactive_key.REVOKED,
        inactive_key.SUSPENDED,
        out_of_scope.RULE,
        privileged_grant.RULE,
        key_for_other.RULE,
        trust_change.RULE,
        missing_reason.RULE,
        redundant_grant.RULE,
        role_sprawl.RULE,
        rule_failure.RULE,
    )
}
