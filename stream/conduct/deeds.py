"""What kind of deed an event is, as the rules over a key's conduct see it."""

from keytrail.schemas.records import DeedKind, Event

GIVES = frozenset({"grant", "issue_key", "update_trust"})
_BY_ACTION: dict[str, DeedKind] = {
    **dict.fromkeys(GIVES, "given"),
    **dict.fromkeys(("revoke", "revoke_key", "suspend_key"), "taken"),
}


def kind_of(event: Event) -> DeedKind:
    """`denied` is a refusal; a login that failed is one too, other failures are the service's own.

    Who deletes somebody else's account takes access away; with a role stated it is a use.
    """
    action, outcome = event.action, event.outcome
    if outcome == "success":
        if action == "delete" and _is_of_account(event):
            return "taken"
        return _BY_ACTION.get(action, "used")
    refused = outcome == "denied" or (action == "login" and outcome == "failure")
    return "denied" if refused else "used"


def _is_of_account(event: Event) -> bool:
    return event.subject is not None and event.subject != event.actor_id and event.role is None
