"""Subjects that were deleted: one partition knows, and all are told, since any may see a key of theirs.

The topic `keytrail.departures` has a record for each, which is gone again when the subject is back.
"""

import json

from keytrail.schemas.records import Micros
from keytrail.stream.access.access import SubjectAccess
from keytrail.stream.errors import StateFormError
from keytrail.stream.stages.store import StateChange

FORM = 1  # of the records


def left_at(access: SubjectAccess) -> Micros | None:
    """When the subject was deleted; None where it never was, or was granted something since."""
    gone = access.deleted
    if gone is None:
        return None
    turns = (turn for role in access.roles.values() for turn in role.history())
    is_back = any(turn.is_grant and turn[:2] > (gone.occurred_at, gone.event_id) for turn in turns)
    return None if is_back else gone.occurred_at


def record_of(subject: str, left: Micros | None) -> StateChange:
    """The topic's record; see `read`."""
    value = None if left is None else json.dumps([FORM, left]).encode()
    return StateChange(subject.encode(), value)


def read(key: bytes, value: bytes | None) -> tuple[str, Micros | None]:
    """The subject, and when it left.  Raises `StateFormError` for a record of a later form."""
    if value is None:
        return key.decode(), None
    form, left = json.loads(value)
    if form != FORM:
        raise StateFormError("departure", form)
    return key.decode(), left
