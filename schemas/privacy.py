"""Privacy mode's forms: pseudonyms of people, values sealed under a person's key, and such keys, wrapped.

A pseudonym is `person-` and 128 bits of an HMAC-SHA-256 of the name.  A sealed value is
`enc1:PSEUDONYM:KEY:TEXT`, where TEXT is nonce and AES-256-GCM ciphertext (NIST SP 800-38D) in base64url,
bound to its place, so that it opens nowhere else.  What a key seals is gone for good when its record is.
"""

import base64
import binascii
import fnmatch
import functools
import hmac
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from keytrail.schemas.errors import KeytrailError, UsageError
from keytrail.schemas.records import Micros

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES: Final = 32
# Of an event's fields.  Names become pseudonyms instead; the others the pipeline has to read.
SEALABLE: Final = frozenset(
    ("source_ip", "user_agent", "before", "after", "reason", "error", "ticket", "resource", "correlation_id")
)
_NONCE_BYTES = 12
_PERSON = r"person-[0-9a-f]{32}"
_PSEUDONYM = re.compile(_PERSON)
_SEALED = re.compile(rf"enc1:({_PERSON}):([0-9a-f]{{16}}):([\w-]{{38,}})", re.ASCII)
_NAME_PLACE = "name"


class PrivacyError(KeytrailError):
    """A value or a key does not open: it is damaged, was moved, or its key is another one."""


@dataclass(frozen=True)
class PrivacySettings:
    """`services` are patterns of names that are nobody's; all other names are taken for people's.

    `fields` are sealed, and attributes too but for those whose names match `plain_attributes`.
    """

    on: bool = False
    services: tuple[str, ...] = ()
    fields: tuple[str, ...] = ("source_ip", "user_agent", "before", "after", "reason", "error")
    plain_attributes: tuple[str, ...] = ("keytrail.*", "team")


def is_pseudonym(text: str) -> bool:
    return _PSEUDONYM.fullmatch(text) is not None


def sealed_with(text: str) -> tuple[str, str] | None:
    """The pseudonym and the id of the key that the text is sealed with; None where it is not sealed."""
    found = _SEALED.fullmatch(text)
    return None if found is None else (found[1], found[2])


@dataclass(frozen=True)
class DataKey:
    """One key of one person's.  Thread-safe."""

    pseudonym: str
    key_id: str
    secret: bytes = field(repr=False)

    @classmethod
    def make(cls, pseudonym: str) -> "DataKey":
        return cls(pseudonym, secrets.token_hex(8), secrets.token_bytes(KEY_BYTES))

    def seal(self, text: str, place: str) -> str:
        """The sealed form; `place` is where it stands: `EVENT_ID/reason`.  Lone surrogates become `?`."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        closed = nonce + self._cipher.encrypt(nonce, text.encode(errors="replace"), place.encode())
        return f"enc1:{self.pseudonym}:{self.key_id}:{_text(closed)}"

    def open(self, text: str, place: str) -> str:
        """Raises `PrivacyError` for what is no sealed value of this key's from this place."""
        found = _SEALED.fullmatch(text)
        if found is None or found.group(1, 2) != (self.pseudonym, self.key_id):
            raise PrivacyError(f"The value at {place} is not sealed with key {self.key_id}.")
        return _opened(self._cipher, found[3], place.encode(), f"The value at {place}").decode()

    @functools.cached_property
    def _cipher(self) -> "AESGCM":
        return _cipher(self.secret)


@dataclass(frozen=True)
class NamedKey:
    """A person's key as its record holds it; `name` is empty where only the pseudonym was known."""

    key: DataKey
    name: str
    made_at: Micros


class PrivacySecrets:
    """The secrets of privacy mode by name, oldest first.  The oldest makes the pseudonyms, the newest wraps
    new keys.  Thread-safe.  Raises `UsageError` where there is none.
    """

    def __init__(self, named: Mapping[str, bytes]) -> None:
        if not named:
            raise UsageError(
                "There is no secret for privacy mode.", "Make one with `keytrail person secret`."
            )
        self._named = dict(named)
        self._newest = list(named)[-1]
        self._naming = _derived(next(iter(named.values())), b"pseudonym-v1")

    def pseudonym(self, name: str) -> str:
        """Always the same for a name; a pseudonym's is itself."""
        if is_pseudonym(name):
            return name
        return f"person-{hmac.digest(self._naming, name.encode(errors='replace'), 'sha256').hex()[:32]}"

    def wrap(self, named: NamedKey) -> tuple[str, bytes]:
        """Key and value of the record on `keytrail.subject_keys`."""
        record_key = f"{named.key.pseudonym}/{named.key.key_id}"
        nonce = secrets.token_bytes(_NONCE_BYTES)
        wrapped = nonce + self._wrapping(self._newest).encrypt(nonce, named.key.secret, record_key.encode())
        said = {
            "v": 1,
            "secret": self._newest,
            "wrapped": _text(wrapped),
            "name": named.key.seal(named.name, _NAME_PLACE),
            "made_at": named.made_at,
        }
        return record_key, json.dumps(said).encode()

    def unwrap(self, record_key: str, value: bytes) -> NamedKey:
        """Raises `PrivacyError` for what is no such record, or wrapped with a secret that is not here."""
        pseudonym, _, key_id = record_key.partition("/")
        try:
            said = json.loads(value)
            master, wrapped = str(said["secret"]), str(said["wrapped"])
            name, made_at = str(said["name"]), int(said["made_at"])
        except (ValueError, TypeError, KeyError) as error:
            raise PrivacyError(f"The key record {record_key} is damaged.") from error
        if master not in self._named:
            raise PrivacyError(
                f"The key record {record_key} is wrapped with the secret {master}, which is not here.",
                "Put that secret back into the file of privacy secrets.",
            )
        what = f"The key record {record_key}"
        key = DataKey(pseudonym, key_id, _opened(self._wrapping(master), wrapped, record_key.encode(), what))
        return NamedKey(key, key.open(name, _NAME_PLACE), made_at)

    def _wrapping(self, name: str) -> "AESGCM":
        return _cipher(_derived(self._named[name], b"wrapping-v1"))


def matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _derived(secret: bytes, purpose: bytes) -> bytes:
    """HKDF-SHA-256 with salt `keytrail-privacy` (RFC 5869); one block is all that 32 bytes need."""
    return hmac.digest(hmac.digest(b"keytrail-privacy", secret, "sha256"), purpose + b"\x01", "sha256")


def _cipher(secret: bytes) -> "AESGCM":
    # A service that does not use privacy mode need not have the package.
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ModuleNotFoundError:
        raise UsageError(
            "Privacy mode needs the package cryptography, which is not installed.",
            'Install it with: pip install "keytrail[privacy]"',
        ) from None
    return AESGCM(secret)


def _opened(cipher: "AESGCM", text: str, place: bytes, what: str) -> bytes:
    from cryptography.exceptions import InvalidTag

    try:
        closed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        return cipher.decrypt(closed[:_NONCE_BYTES], closed[_NONCE_BYTES:], place)
    except (InvalidTag, binascii.Error, ValueError) as error:
        raise PrivacyError(f"{what} does not open.", "It was changed, cut or moved.") from error


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
