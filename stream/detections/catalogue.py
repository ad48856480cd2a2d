"""The catalogue: every rule, and the order in which an event meets them.

To add a rule, write its module and name it here: see `docs/writing-a-rule.md`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from keytrail.schemas.records import Event
from keytrail.stream.access.access import Change, SubjectAccess
from keytrail.stream.conduct.conduct import Conduct
from keytrail.stream.detections import (
    audit_silence,
    automation_cadence,
    break_glass_unreviewed,
    break_glass_use,
    clock_skew,
    denials_then_success,
    dormant_key_awakes,
    dormant_privileged_key,
    escalation_path,
    expired_exception,
    flapping,
    forged_event,
    impossible_travel,
    inactive_key,
    interactive_service_key,
    key_for_other,
    key_lineage,
    mass_revoke,
    missing_reason,
    mover_keeps_roles,
    new_network,
    orphaned_access,
    orphaned_child_key,
    orphaned_key,
    out_of_scope,
    outside_change_window,
    overdue_grant,
    privileged_grant,
    provisioning_burst,
    redundant_grant,
    role_explosion,
    role_sprawl,
    rule_failure,
    self_approval,
    self_grant,
    sequence_holes,
    shared_key,
    toxic_combination,
    trust_change,
    unknown_key,
)
from keytrail.stream.detections.access_change import ACCESS_CHANGES
from keytrail.stream.detections.verdict import Rule, Verdict
from keytrail.stream.keys.keys import KeyAtEvent, KeyTraits
from keytrail.stream.policies.patterns import matches_any
from keytrail.stream.policies.policy import Policy

SubjectRule = Callable[[Event, SubjectAccess, Policy], Iterable[Verdict]]


@dataclass(frozen=True)
class EventRule:
    """A rule that needs the event and its key alone.

    `gives` are the rules that its verdicts are of.  It is asked only about events with one of these actions,
    by a key of one of these statuses and `having` these traits; None: any.  `chosen`: patterns of the actions
    that the policy names.
    `of_key`: what it says depends on what is known of the key, and so may change when that does.
    """

    judge: Callable[[Event, KeyAtEvent, Policy], Iterable[Verdict]]
    gives: tuple[Rule, ...]
    actions: frozenset[str] | None = None
    statuses: frozenset[str] | None = None
    having: Callable[[KeyTraits], bool] | None = None
    of_key: bool = False
    chosen: Callable[[Policy], Sequence[str]] | None = None

    def may_fire(self, action: str, key: KeyTraits, policy: Policy) -> bool:
        return (
            (self.actions is None or action in self.actions)
            and (self.statuses is None or key.status in self.statuses)
            and (self.having is None or self.having(key))
            and (self.chosen is None or matches_any(self.chosen(policy), action))
        )


_REGISTERED = frozenset({"active", "expired", "revoked", "suspended"})

EVENT_RULES: tuple[EventRule, ...] = (
    EventRule(unknown_key.judge, (unknown_key.RULE,), statuses=frozenset({"unknown"}), of_key=True),
    EventRule(
        inactive_key.judge,
        inactive_key.RULES,
        statuses=frozenset({"expired", "revoked", "suspended"}),
        of_key=True,
    ),
    EventRule(
        out_of_scope.judge,
        (out_of_scope.RULE,),
        statuses=_REGISTERED,
        having=lambda key: key.is_scoped,
        of_key=True,
    ),
    EventRule(
        break_glass_use.judge,
        (break_glass_use.RULE,),
        statuses=_REGISTERED,
        having=lambda key: key.is_break_glass,
        of_key=True,
    ),
    EventRule(
        interactive_service_key.judge,
        (interactive_service_key.RULE,),
        actions=frozenset({"login"}),
        statuses=_REGISTERED,
        of_key=True,
    ),
    EventRule(privileged_grant.judge, (privileged_grant.RULE,), actions=frozenset({"grant"})),
    EventRule(escalation_path.judge, (escalation_path.RULE,), actions=frozenset({"grant"})),
    EventRule(self_grant.judge, (self_grant.RULE,), actions=frozenset({"grant"})),
    EventRule(self_approval.judge, (self_approval.RULE,), actions=ACCESS_CHANGES),
    EventRule(key_for_other.judge, (key_for_other.RULE,), actions=frozenset({"issue_key"}), of_key=True),
    EventRule(
        key_lineage.judge,
        (key_lineage.RULE,),
        actions=frozenset({"issue_key"}),
        statuses=_REGISTERED,
        of_key=True,
    ),
    EventRule(
        orphaned_child_key.judge,
        (orphaned_child_key.RULE,),
        statuses=frozenset({"active"}),
        having=lambda key: key.has_ancestors,
        of_key=True,
    ),
    EventRule(
        orphaned_key.judge,
        (orphaned_key.RULE,),
        statuses=frozenset({"active"}),
        having=lambda key: key.lost_owner,
        of_key=True,
    ),
    EventRule(trust_change.judge, (trust_change.RULE,), actions=frozenset({"update_trust"})),
    EventRule(
        outside_change_window.judge,
        (outside_change_window.RULE,),
        of_key=True,
        chosen=outside_change_window.actions,
    ),
    EventRule(missing_reason.judge, (missing_reason.RULE,), actions=ACCESS_CHANGES),
    EventRule(clock_skew.judge, (clock_skew.RULE,)),
)

# Rules over what a subject holds, by the change that may move them.
RULES_BY_CHANGE: dict[Change, tuple[SubjectRule, ...]] = {
    Change.HOLDING: (
        redundant_grant.judge,
        toxic_combination.judge,
        overdue_grant.judge,
        flapping.judge,
        orphaned_access.judge_change,
        mover_keeps_roles.judge,
        role_explosion.judge,
        role_sprawl.judge,
    ),
    Change.USE: (overdue_grant.judge, mover_keeps_roles.judge, role_sprawl.judge),
}


@dataclass(frozen=True)
class ConductRule:
    """A rule over what one key did, over all subjects; asked where there are new deeds of these kinds."""

    judge: Callable[[Conduct, Policy], Iterable[Verdict]]
    rule: Rule
    kinds: frozenset[str]


_ANY_DEED = frozenset({"given", "taken", "denied", "used"})

CONDUCT_RULES: tuple[ConductRule, ...] = (
    ConductRule(provisioning_burst.judge, provisioning_burst.RULE, frozenset({"given"})),
    ConductRule(mass_revoke.judge, mass_revoke.RULE, frozenset({"taken"})),
    ConductRule(
        denials_then_success.judge,
        denials_then_success.RULE,
        frozenset({"denied", "passed", "given", "taken"}),
    ),
    ConductRule(dormant_key_awakes.judge, dormant_key_awakes.RULE, _ANY_DEED),
    ConductRule(new_network.judge, new_network.RULE, _ANY_DEED),
    ConductRule(shared_key.judge, shared_key.RULE, _ANY_DEED),
    ConductRule(automation_cadence.judge, automation_cadence.RULE, _ANY_DEED),
    ConductRule(impossible_travel.judge, impossible_travel.RULE, frozenset({"placed"})),
)

# Rules that are asked in other ways: of signatures, of grants by a key that is gone, of what a subject holds,
# of a rule that failed, of what the policy says of a finding, of services
# that report no more, of uses that nobody reviewed, of keys that nobody uses, of numbers that are missing.
_OTHERS = (
    forged_event.INVALID,
    forged_event.MISSING,
    redundant_grant.RULE,
    toxic_combination.RULE,
    overdue_grant.RULE,
    flapping.RULE,
    orphaned_access.RULE,
    mover_keeps_roles.RULE,
    role_explosion.RULE,
    role_sprawl.RULE,
    rule_failure.RULE,
    expired_exception.RULE,
    audit_silence.RULE,
    break_glass_unreviewed.RULE,
    dormant_privileged_key.RULE,
    sequence_holes.RULE,
)

RULES: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        *(given for asked in EVENT_RULES for given in asked.gives),
        *(asked.rule for asked in CONDUCT_RULES),
        *_OTHERS,
    )
}
