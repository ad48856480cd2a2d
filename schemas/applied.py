"""Applied policies as they travel: a record of `keytrail.policies` for each, with who applied it and why.

A record is JSON, keyed by an id of its own, so that compaction takes none away.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from keytrail.schemas.errors import SchemaError
from keytrail.schemas.records import Event, Micros

FORM = 1  # of the records
ACTION = "policy_change"
SERVICE = "keytrail"


@dataclass(frozen=True)
class AppliedPolicy:
    """`text` is the policy file; `version` is its policy's.

    `counts_from` has for each partition of the events topic the first offset that is judged by it; in a
    partition that is not among them it counts from the beginning.
    """

    policy_id: str
    version: str
    text: str
    actor: str
    key_id: str
    reason: str
    ticket: str | None
    applied_at: Micros
    counts_from: Mapping[int, int] = field(hash=False)

    def first_offset(self, partition: int) -> int:
        return self.counts_from.get(partition, 0)


def is_announcement(event: Event) -> bool:
    """True for an event that says of itself that from here on its partition goes by another policy.

    Anybody can send such an event: the record alone counts.
    """
    return event.action == ACTION and event.service == SERVICE


def pack(applied: AppliedPolicy) -> bytes:
    """The record's value; see `unpack`."""
    return json.dumps([FORM, asdict(applied)]).encode()


def unpack(value: bytes) -> AppliedPolicy:
    """Raises `SchemaError` for a record of a later form, and for what is no such record."""
    try:
        form, fields = json.loads(value)
        if form == FORM:
            offsets = {int(name): int(offset) for name, offset in fields.pop("counts_from").items()}
            return AppliedPolicy(counts_from=offsets, **fields)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise SchemaError("It is no record of an applied policy.", _remedy()) from error
    raise SchemaError(f"It has form {form!r}, and this keytrail reads form {FORM}.", _remedy())


def _remedy() -> str:
    return "Run the version of keytrail that applied it, or a later one."
