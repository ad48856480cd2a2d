"""Every rule's anomalies and near misses, and how many of each a simulation holds."""

from collections.abc import Callable
from dataclasses import dataclass
from math import isqrt

from keytrail.producers.simulation.injections import (
    bursts,
    coming_and_going,
    credentials,
    dormancy,
    duties,
    environments,
    exceptions,
    explosion,
    habits,
    key_state,
    key_use,
    lineage,
    movers,
    nesting,
    numbering,
    orphans,
    privilege,
    reasons,
    redundancy,
    refusals,
    reviews,
    scope,
    signatures,
    silence,
    sprawl,
    travel,
    windows,
)
from keytrail.producers.simulation.stage import FIRST_DAY, LAST_DAY, Stage

Case = Callable[[Stage, int], None]

_MOST = 60


@dataclass(frozen=True)
class Kind:
    """One rule: its anomalies come in these variants, its near misses in those."""

    anomalies: tuple[Case, ...]
    near_misses: tuple[Case, ...]


KINDS = (
    Kind(
        (
            sprawl.slow_and_unused,
            sprawl.fast_and_used,
            sprawl.in_a_small_team,
            sprawl.used_once_long_ago,
        ),
        (sprawl.seven_roles, sprawl.slow_and_used, sprawl.below_the_peers, sprawl.ten_in_a_small_team),
    ),
    Kind(
        (redundancy.within_one_role, redundancy.within_two_roles, redundancy.under_a_pattern),
        (
            redundancy.overlapping,
            redundancy.narrow_before_broad,
            redundancy.cover_taken_back,
            redundancy.unlisted,
        ),
    ),
    Kind((key_state.unknown_to_all, key_state.unknown_to_services), (key_state.known_by_its_hash,)),
    Kind((key_state.rotated_and_expired, key_state.term_over), (key_state.hour_before_expiry,)),
    Kind(
        (key_state.revoked_from_person, key_state.revoked_from_service), (key_state.minute_before_revocation,)
    ),
    Kind((key_state.suspended_and_used, key_state.suspended_and_denied), (key_state.before_suspension,)),
    Kind(
        (
            scope.other_action,
            scope.other_role,
            scope.other_resource,
            scope.other_environment,
            scope.other_network,
            scope.other_hours,
        ),
        (scope.nothing_stated, scope.edge_of_hours, scope.edge_of_network, scope.role_of_an_update),
    ),
    Kind(
        (privilege.not_approved, privilege.approved_by_oneself, privilege.approved_without_ticket),
        (privilege.approved,),
    ),
    Kind(
        (credentials.key_for_other, credentials.unnamed_key_for_other),
        (credentials.key_by_identity, credentials.key_for_oneself, credentials.key_for_other_denied),
    ),
    Kind(
        (privilege.way_to_more, privilege.way_to_keys),
        (privilege.way_to_more_approved, privilege.list_of_grants),
    ),
    Kind(
        (duties.granted_to_oneself, duties.granted_to_oneself_without_ticket),
        (duties.granted_to_oneself_and_approved, duties.granted_to_oneself_and_refused),
    ),
    Kind((duties.approved_by_who_gains, duties.approved_by_who_acts), (duties.approved_by_a_third,)),
    Kind(
        (
            duties.payments_in_one_hand,
            duties.code_and_release_in_one_hand,
            duties.payments_by_what_roles_permit,
        ),
        (duties.one_side_after_the_other, duties.two_of_one_side, duties.payments_seen_and_created),
    ),
    Kind((duties.not_taken_back,), (duties.taken_back_late, duties.lent_for_long)),
    Kind(
        (coming_and_going.thrice_in_an_hour, coming_and_going.privileged_for_minutes),
        (
            coming_and_going.twice_in_an_hour,
            coming_and_going.thrice_in_a_day,
            coming_and_going.privileged_for_half_an_hour,
        ),
    ),
    Kind(
        (movers.keeps_everything, movers.keeps_one_role),
        (movers.gives_back_in_time, movers.is_granted_anew),
    ),
    Kind(
        (windows.on_a_weekend, windows.at_night),
        (
            windows.within_the_window,
            windows.in_staging,
            windows.in_an_emergency,
            windows.refused_at_night,
            windows.with_a_break_glass_key,
        ),
    ),
    Kind(
        (lineage.third_of_a_line_issues,),
        (lineage.second_of_a_line_issues, lineage.third_of_a_line_is_refused),
    ),
    Kind(
        (lineage.outlives_its_parent, lineage.outlives_a_compromised_grandparent),
        (lineage.outlives_its_parent_for_days, lineage.goes_before_its_parent),
    ),
    Kind(
        (orphans.key_in_a_service, orphans.key_in_its_owners_name),
        (orphans.key_used_on_the_last_evening, orphans.owner_came_back, orphans.used_before_its_owner_left),
    ),
    Kind(
        (explosion.a_role_for_each_task, explosion.all_roles_for_one),
        (explosion.a_role_for_some_tasks,),
    ),
    Kind((key_use.signed_in_as_a_service, key_use.signing_in_as_a_service_refused), (key_use.service_calls,)),
    Kind((key_use.clock_ahead,), (key_use.clock_a_little_ahead,)),
    Kind((credentials.trust_changed,), (credentials.trust_change_denied,)),
    Kind(
        (reasons.grant_without, reasons.rotation_without, reasons.without_key),
        (reasons.reason_alone, reasons.ticket_alone, reasons.failed_without),
    ),
    Kind((bursts.grants_by_script,), (bursts.few_grants, bursts.slow_grants, bursts.grants_by_a_provisioner)),
    Kind(
        (bursts.revocations_by_script, bursts.suspensions_by_script),
        (bursts.few_revocations, bursts.refused_revocations),
    ),
    Kind(
        (habits.after_a_rest, habits.long_after_its_issue), (habits.after_a_holiday, habits.first_seen_late)
    ),
    Kind(
        (habits.from_elsewhere,),
        (habits.young_key_from_elsewhere, habits.next_address, habits.within_its_scope),
    ),
    Kind((habits.in_many_hands,), (habits.in_two_hands, habits.handed_on)),
    Kind(
        (refusals.let_in_at_last, refusals.signed_in_at_last),
        (refusals.few_refusals, refusals.let_in_much_later, refusals.failures),
    ),
    Kind((habits.round_the_clock,), (habits.a_long_day, habits.service_round_the_clock)),
    Kind(
        (travel.there_and_elsewhere, travel.refused_elsewhere),
        (
            travel.on_a_flight,
            travel.in_the_next_town,
            travel.a_service_in_two_regions,
            travel.two_people_at_two_places,
        ),
    ),
    Kind(
        (
            orphans.given_with_a_leaked_key,
            orphans.given_before_the_end_of_a_key,
            orphans.given_before_leaving,
        ),
        (
            orphans.given_long_before,
            orphans.taken_back_in_time,
            orphans.given_with_a_key_that_was_rotated,
        ),
    ),
    Kind(
        (silence.stopped_for_good, silence.stopped_for_two_days),
        (silence.late_by_half_a_day, silence.hardly_known, silence.never_regular),
    ),
    Kind(
        (reviews.never_reviewed, reviews.reviewed_too_late, reviews.used_again_after_the_review),
        (reviews.reviewed_in_time, key_use.ordinary_key_used_like_it),
    ),
    Kind(
        (dormancy.lies_after_its_use, dormancy.never_used, dormancy.lies_and_awakes),
        (
            dormancy.ordinary_key,
            dormancy.used_on_the_last_day,
            dormancy.break_glass,
            dormancy.revoked_in_time,
        ),
    ),
    Kind(
        (numbering.some_never_came, numbering.first_ones_never_came, numbering.told_as_lost),
        (numbering.started_anew, numbering.late_in_time, numbering.about_many),
    ),
)


# In a company with a policy of its own: what only that finds (`simulation.policy`), signatures, which take a
# master secret, and roles that many hold.  A past that is read at once, one partition ahead of another, shows
# those with fewer holders for a while.
OF_OWN_POLICY = (
    Kind((explosion.held_by_the_same_people,), (explosion.held_by_nearly_the_same_people,)),
    Kind(
        (nesting.role_within_a_group, nesting.role_by_what_two_groups_give),
        (nesting.role_before_its_group, nesting.more_than_a_group_gives, nesting.group_taken_back),
    ),
    Kind(
        (environments.exports_in_production, environments.pipelines_in_staging),
        (
            environments.exports_in_staging,
            environments.exports_in_two_environments,
            environments.pipelines_in_two_environments,
        ),
    ),
    Kind(
        (
            signatures.unsigned_of_a_service_that_signs,
            signatures.unsigned_with_a_key_that_signs,
            signatures.unsigned_without_a_key,
        ),
        (
            signatures.signed_of_a_service_that_signs,
            signatures.signed_with_a_key_that_signs,
            signatures.unsigned_of_a_service_that_need_not,
        ),
    ),
    Kind(
        (
            signatures.signed_with_another_keys_secret,
            signatures.altered_on_its_way,
            signatures.secret_after_its_overlap,
            signatures.last_but_one_within_an_overlap,
        ),
        (signatures.signed_unasked, signatures.secret_within_its_overlap),
    ),
    Kind(
        (exceptions.over, exceptions.over_by_patterns),
        (exceptions.not_over, exceptions.renewed, exceptions.over_for_another_cause),
    ),
)


def inject(stage: Stage, events: int, *, own_policy: bool) -> None:
    """Adds each kind to the plan, spread over the period; their number grows with the root of the events."""
    many = min(_MOST, isqrt(events) // 40)
    for kind in KINDS + OF_OWN_POLICY if own_policy else KINDS:
        _spread(stage, kind.anomalies, max(many, len(kind.anomalies), 2))
        _spread(stage, kind.near_misses, max(many // 2, len(kind.near_misses)))


def _spread(stage: Stage, variants: tuple[Case, ...], count: int) -> None:
    for number in range(count):
        share = (number + stage.rng.random()) / count
        variants[number % len(variants)](stage, FIRST_DAY + int((LAST_DAY - FIRST_DAY) * share))
