"""Who signs an event when it is sent."""

from collections.abc import Callable

from keytrail.schemas.records import Event
from keytrail.schemas.signature import SigningKey

# From an event, the fingerprint of its schema, and its datum: the signature's header, where it has one.
Sign = Callable[[Event, bytes, bytes], bytes | None]


def unsigned(_event: Event, _fingerprint: bytes, _datum: bytes) -> None:
    """Signs nothing."""


def signed_by(key: SigningKey | None) -> Sign:
    """Signs the events that name this key."""
    if key is None:
        return unsigned

    def sign(event: Event, fingerprint: bytes, datum: bytes) -> bytes | None:
        return key.sign(fingerprint, datum) if key.key_id == event.key_id else None

    return sign
