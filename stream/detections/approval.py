"""When a change counts as approved."""

from keytrail.schemas.records import Event


def is_approved(event: Event) -> bool:
    """A ticket is named, and an approver who neither made the change nor gains by it."""
    return bool(event.ticket and event.approved_by and event.approved_by not in (event.actor_id, event.whose))
