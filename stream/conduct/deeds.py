"""What kind of deed an event is, as the rules over a key's conduct see it."""

from keytrail.schemas.records import DeedKind, Event

GIVES = frozenset({"grant", "issue_key", "update_trust"})
_TAKES = frozenset({"revoke", "revoke_key", "suspend_key"})


def kind_of(event: Event) -> DeedKind:
    """`denied` is a refusal; a login that failed is one too, other failures are the service's own.

    Who deletes somebody else's account takes access away; with a role stated it is a use.
    """
    action = event.action
    if event.outcome == "success":
        if action in GIVES:
            return "given"
        if action in _TAKES or (action == "delete" and _is_of_account(event)):
            return "taken"
        return "used"
    refused = event.outcome == "denied" or (action == "login" and event.outcome == "failure")
    return "denied" if refused else "used"


def _is_of_account(event: Event) -> bool:
    return event.subject is not None and event.subject != event.actor_id and event.role is None
