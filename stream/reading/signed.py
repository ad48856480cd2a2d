"""Whether an event was written by who holds its key's secret."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from keytrail.schemas.attributes import CLAIM
from keytrail.schemas.records import Event
from keytrail.schemas.signature import SIGNATURE_HEADER, Claim, Masters, Signature
from keytrail.stream.reading.source import Headers

MasterSource = Callable[[], Masters]


@dataclass(frozen=True)
class Signed:
    """What is known of an event's signature.

    `verified`: by the holder of the key.  `claimed`: by a service that was called with the key, and can show
    so.  `unchecked`: there are no master secrets to check by.  `version` is that of the key's secret; `why`
    says what is wrong with one that is invalid.
    """

    state: Literal["verified", "claimed", "unsigned", "invalid", "unchecked"]
    version: int = 0
    why: str = ""


UNSIGNED = Signed("unsigned")
UNCHECKED = Signed("unchecked")


def no_masters() -> Masters:
    """Nothing to check by."""
    return Masters({})


def read_signature(
    event: Event, headers: Headers, fingerprint: bytes, datum: bytes, masters: Masters
) -> Signed:
    """`fingerprint` is that of the schema that `datum` was written with."""
    values = [value for name, value in headers if name == SIGNATURE_HEADER]
    if not values:
        return _read_claim(event, masters)
    if not masters:
        return UNCHECKED
    if len(values) > 1:
        return _invalid("it has several signatures")
    signature = Signature.parse(values[0])
    if signature is None:
        return _invalid("its signature has not the form of one")
    if event.key_id is None:
        return _invalid("it is signed and names no key")
    if not masters.verify(event.key_id, signature, fingerprint, datum):
        return _invalid("its signature does not fit its content and its key")
    return Signed("verified", signature.version)


def _read_claim(event: Event, masters: Masters) -> Signed:
    text = event.attributes.get(CLAIM)
    if text is None:
        return UNSIGNED
    if not masters:
        return UNCHECKED
    claim = Claim.parse(text)
    if claim is None or claim.key_id != event.key_id or not masters.is_true(claim):
        return _invalid("it claims a key that its service was not called with")
    return Signed("claimed", claim.signature.version)


def _invalid(why: str) -> Signed:
    return Signed("invalid", why=why)
