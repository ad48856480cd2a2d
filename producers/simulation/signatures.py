"""Which of the simulated events are signed, and how."""

from collections.abc import Mapping
from dataclasses import dataclass

from keytrail.producers.signing import Sign
from keytrail.schemas.errors import UsageError
from keytrail.schemas.records import Event
from keytrail.schemas.signature import Masters


@dataclass(frozen=True)
class Hand:
    """Signs with that secret of the key; `alters`: what it signed has another last byte than what is sent."""

    key_id: str
    version: int = 1
    alters: bool = False


def sign_by(hands: Mapping[str, Hand], masters: Masters) -> Sign:
    """Signs the events that have a hand, by their ids.

    Raises `UsageError` where there are some and no master secret to derive theirs from.
    """
    if hands and not masters:
        raise UsageError(
            "Some of the company's services sign their events, and there is no master secret.",
            "Name the worker's file (KEYTRAIL_SIGNING_MASTERS), or leave the company's own policy out.",
        )

    def sign(event: Event, fingerprint: bytes, datum: bytes) -> bytes | None:
        hand = hands.get(event.event_id)
        if hand is None:
            return None
        signed = datum[:-1] + bytes((datum[-1] ^ 1,)) if hand.alters else datum
        return masters.issue(hand.key_id, hand.version).sign(fingerprint, signed)

    return sign
