"""Outside a change window: a change was made at a time at which it is not to be made.

Formula: for one of the policy's `change_windows`, a successful event has an action like one of `actions` and
an environment like one of `environments`, and happened within none of its `hours`, or within hours that began
on a day of `closed`.  Not where the key is for emergencies, or the ticket is like one of `emergency_tickets`.
One finding an actor and window.  An event that states no environment is left out.

False positives: jobs that change access at night by design; choose actions that people make.  ATT&CK T1098
(Account Manipulation).  Source of the idea: NIST SP 800-53 CM-3 (Configuration Change Control).
"""

from collections.abc import Iterator
from datetime import UTC, datetime

from keytrail.schemas.hours import day_of_hours
from keytrail.schemas.records import Event, Micros
from keytrail.stream.detections.verdict import Rule, Verdict
from keytrail.stream.keys.keys import KeyAtEvent
from keytrail.stream.policies.patterns import matches_any
from keytrail.stream.policies.policy import ChangeWindow, Policy

RULE = Rule("outside_change_window", 1, "act", "medium", "T1098")


def actions(policy: Policy) -> tuple[str, ...]:
    """Patterns of the actions that some window is about."""
    return tuple(action for window in policy.change_windows for action in window.actions)


def judge(event: Event, key: KeyAtEvent, policy: Policy) -> Iterator[Verdict]:
    if event.outcome != "success" or not event.environment or (key.key is not None and key.key.break_glass):
        return
    for window in policy.change_windows:
        if (
            matches_any(window.actions, event.action)
            and matches_any(window.environments, event.environment)
            and not (event.ticket and matches_any(window.emergency_tickets, event.ticket))
            and not _is_open(window, event.occurred_at)
        ):
            at = datetime.fromtimestamp(event.occurred_at / 1e6, UTC)
            yield Verdict(
                RULE,
                "subject",
                event.actor_id,
                window.name,
                f"{event.actor_id} made a change ({event.action}) in {event.environment} "
                f"on {at:%Y-%m-%d at %H:%M} UTC, outside the window of {window.name}.",
                f"Ask {event.actor_id} why it could not wait; an emergency has a ticket of its own.",
                details={"window": "; ".join(window.hours), "subject": event.whose, "service": event.service},
            )


def _is_open(window: ChangeWindow, at: Micros) -> bool:
    days = (day_of_hours(hours, at) for hours in window.hours)
    return any(day is not None and day.isoformat() not in window.closed for day in days)
