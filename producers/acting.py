"""Who acts just now, with which key and why: what a block of code says once for all that it does.

It is kept in a context variable, so that each thread and each asyncio task has its own.  It holds for every
trail of the process.
"""

import functools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, NamedTuple

from keytrail.producers.details import text
from keytrail.schemas.attributes import CLAIM
from keytrail.schemas.errors import UsageError
from keytrail.schemas.signature import SigningKey

_TOKEN = "keytrail1."  # noqa: S105


class Unset(Enum):
    """Stands for what was not said at all, where None means that there is none."""

    UNSET = "unset"


UNSET: Final = Unset.UNSET


# A key's id, or what a service holds to sign in its name; None: without a key.
KeyLike = str | SigningKey | None


class KeyUsed(NamedTuple):
    """A provisioning key: its id, and its secret where that is known."""

    key_id: str | None
    signer: SigningKey | None = None
    readable: bool = True


NO_KEY = KeyUsed(None)
_UNREADABLE = KeyUsed(None, readable=False)


def key_used(key: object) -> KeyUsed:
    """From a key's id, a `SigningKey`, or its token; a token that is none gives no key.  Never raises."""
    if key is None:
        return NO_KEY
    if isinstance(key, SigningKey):
        return KeyUsed(key.key_id, key) if isinstance(key.secret, bytes) else _UNREADABLE
    named = text(key)
    if _TOKEN not in named:
        return KeyUsed(named)
    try:
        signer = _signer(named)
    except UsageError:
        return _UNREADABLE
    return KeyUsed(signer.key_id, signer)


@functools.lru_cache(maxsize=256)
def _signer(token: str) -> SigningKey:
    return SigningKey.of_token(token)


@dataclass(frozen=True)
class Acting:
    key: KeyUsed | Unset = UNSET
    actor: object = UNSET
    details: Mapping[str, object] = field(default_factory=dict)


_NOBODY = Acting()
_CURRENT: ContextVar[Acting] = ContextVar("keytrail_acting", default=_NOBODY)
current = _CURRENT.get


def merged(outer: Mapping[str, object], inner: Mapping[str, object]) -> Mapping[str, object]:
    """Details with the inner ones before the outer ones; attributes one by one."""
    if not outer:
        return inner
    both = {**outer, **inner}
    attributes = outer.get("attributes"), inner.get("attributes")
    if isinstance(attributes[0], Mapping) and isinstance(attributes[1], Mapping):
        both["attributes"] = {**attributes[0], **attributes[1]}
    return both


def with_context(
    found: Mapping[str, object], said: Mapping[str, object], used: KeyUsed, *, may_set_key: bool
) -> tuple[Mapping[str, object], KeyUsed, object]:
    """Details and key with what the surroundings of a call know beside them, and who acts by their account.

    Their key, its proof and who acts count where nobody named a key; their details where nobody said another.
    """
    rest = dict(found)
    key_id, claim, actor = rest.pop("key_id", None), rest.pop("key_claim", None), rest.pop("actor", None)
    if key_id is not None and may_set_key and used is NO_KEY:
        used = key_used(key_id)
        if claim is not None:
            said = merged(said, {"attributes": {CLAIM: text(claim)}})
    else:
        actor = None
    return merged({name: value for name, value in rest.items() if value is not None}, said), used, actor


@contextmanager
def acting(key: object, actor: object, details: Mapping[str, object]) -> Iterator[None]:
    """Within the block, what is said here comes before what was said around it."""
    outer = current()
    token = _CURRENT.set(
        Acting(
            outer.key if key is UNSET else key_used(key),
            outer.actor if actor is UNSET else actor,
            merged(outer.details, details),
        )
    )
    try:
        yield
    finally:
        # A generator may be closed in another context, which has no part in this.
        with suppress(ValueError):
            _CURRENT.reset(token)
