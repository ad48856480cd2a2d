"""Signed notes: text with signatures below it, as C2SP's signed-note specification writes them.

Ed25519 (RFC 8032) only.  Source: https://c2sp.org/signed-note
"""

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from keytrail.schemas.errors import KeytrailError

_ED25519 = b"\x01"
_NAME = re.compile(r"[^\s+]+")
_SIGNATURE = re.compile("— ([^\\s+]+) ([A-Za-z0-9+/]+={0,2})")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_MOST_SIGNATURES = 100
_ID_BYTES = 4
_SIGNATURE_BYTES = 64
SEED_BYTES = 32


class NoteError(KeytrailError):
    """A note has not the form of one, or a signature on it is wrong."""


@dataclass(frozen=True)
class PublicKey:
    """A key that notes are verified with."""

    name: str
    public: bytes

    @property
    def key_id(self) -> bytes:
        """The four bytes that stand before each of its signatures."""
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:_ID_BYTES]

    @property
    def text(self) -> str:
        """The key as one line: name, id, and the key in base64."""
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(_ED25519 + self.public).decode()}"

    @classmethod
    def of_text(cls, text: str) -> "PublicKey":
        """Raises `NoteError` for what is no such line."""
        try:
            name, key_id, encoded = text.strip().split("+", 2)
            packed = base64.b64decode(encoded, validate=True)
        except ValueError:
            raise NoteError(f"{text.strip()[:80]!r} is no verifier key.") from None
        key = cls(name, packed[1:])
        if packed[:1] != _ED25519 or len(packed) != 1 + SEED_BYTES or not _NAME.fullmatch(name):
            raise NoteError(f"The verifier key {name[:80]!r} is no Ed25519 key.")
        if key.key_id.hex() != key_id:
            raise NoteError(f"The verifier key {name[:80]!r} is not the one that its id {key_id!r} says.")
        return key


@dataclass(frozen=True)
class PrivateKey:
    """A key that notes are signed with; `seed` is its 32 secret bytes."""

    name: str
    seed: bytes = field(repr=False)

    @property
    def public(self) -> PublicKey:
        return PublicKey(self.name, self._key().public_key().public_bytes_raw())

    def sign(self, text: str) -> bytes:
        return self._key().sign(text.encode())

    def _key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.seed)


def sign(text: str, keys: Sequence[PrivateKey]) -> str:
    """The note: the text, which ends with a newline, an empty line, and a signature a key.

    Raises `NoteError` for a text that cannot be one's.
    """
    if not text.endswith("\n") or _CONTROL.search(text) or "\n\n" in text:
        raise NoteError("A note's text is whole lines, none empty, without control characters.")
    lines = []
    for key in keys:
        signature = base64.b64encode(key.public.key_id + key.sign(text)).decode()
        lines.append(f"— {key.name} {signature}\n")
    return f"{text}\n{''.join(lines)}"


@dataclass(frozen=True)
class Opened:
    """A note's text, and which of the keys asked for have signed it."""

    text: str
    signed_by: tuple[PublicKey, ...]


def open_note(note: str, keys: Iterable[PublicKey]) -> Opened:
    """Signatures of other keys are passed over, so `signed_by` may be empty.

    Raises `NoteError` where the form is wrong, or the signature of one of the keys is.
    """
    text, gap, below = note.rpartition("\n\n")
    text += "\n"
    if not gap or not below.endswith("\n") or _CONTROL.search(note):
        raise NoteError("It has not the form of a signed note.")
    lines = below[:-1].split("\n")
    if len(lines) > _MOST_SIGNATURES:
        raise NoteError(f"It has more than {_MOST_SIGNATURES} signatures.")
    known = {(key.name, key.key_id): key for key in keys}
    signed_by: list[PublicKey] = []
    for line in lines:
        name, packed = _signature(line)
        key = known.get((name, packed[:_ID_BYTES]))
        if key is None or key in signed_by:
            continue
        try:
            Ed25519PublicKey.from_public_bytes(key.public).verify(packed[_ID_BYTES:], text.encode())
        except InvalidSignature:
            raise NoteError(f"The signature of {key.name}+{key.key_id.hex()} is wrong.") from None
        signed_by.append(key)
    return Opened(text, tuple(signed_by))


def _signature(line: str) -> tuple[str, bytes]:
    found = _SIGNATURE.fullmatch(line)
    try:
        packed = base64.b64decode(found[2], validate=True) if found else b""
    except binascii.Error:
        packed = b""
    if found is None or len(packed) < _ID_BYTES + 1:
        raise NoteError("A line below it is no signature.")
    return found[1], packed
