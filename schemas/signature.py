"""Signatures of events: who holds a key's secret, and nobody else, can write events in that key's name.

A key's secret is derived from a master secret (HKDF-SHA-256, RFC 5869), so that whoever verifies keeps the
master alone.  A signature is an HMAC-SHA-256 (RFC 2104) over the fingerprint of the writer's schema and the
exact Avro datum; it travels in the Kafka header `keytrail-signature`.  `docs/topic-contract.md` says it all
byte by byte, with test vectors.
"""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import fastavro

from keytrail.schemas import avro
from keytrail.schemas.errors import SchemaError, UsageError

SIGNATURE_HEADER = "keytrail-signature"
SECRET_BYTES = 32
_TAG = b"keytrail-signature-v1\0"
_CLAIM_TAG = b"keytrail-baggage-v1\0"
_TOKEN_MARK = "keytrail1"  # noqa: S105
_MASTER = re.compile(r"[a-z0-9]{1,32}")
_VERSION = re.compile(r"[1-9][0-9]{0,8}")
_HEX = re.compile(r"[0-9a-f]{64}")
_MOST_DERIVED = 20_000


@dataclass(frozen=True)
class SigningKey:
    """What a service is given to act with one key.  `version` counts the secrets of that key, from 1."""

    key_id: str
    master: str
    version: int
    secret: bytes = field(repr=False)

    @property
    def token(self) -> str:
        """All of it as one line of text: the secret that is shown once."""
        secret = base64.urlsafe_b64encode(self.secret).decode().rstrip("=")
        return f"{_TOKEN_MARK}.{self.master}.{self.version}.{secret}.{self.key_id}"

    @classmethod
    def of_token(cls, token: str) -> "SigningKey":
        """Raises `UsageError`, which does not repeat the text, for what is no token."""
        parts = token.strip().split(".", 4)
        try:
            mark, master, version, text, key_id = parts
            secret = base64.b64decode(text + "=", altchars=b"-_", validate=True)
        except ValueError:
            raise _no_token() from None
        formed = mark == _TOKEN_MARK and _MASTER.fullmatch(master) and _VERSION.fullmatch(version)
        if not (formed and key_id and len(secret) == SECRET_BYTES):
            raise _no_token()
        return cls(key_id, master, int(version), secret)

    def sign(self, fingerprint: bytes, datum: bytes) -> bytes:
        """The header's value for a datum; `fingerprint` is that of the schema it was written with."""
        mac = hmac.digest(self.secret, _TAG + fingerprint + datum, "sha256")
        return f"v1;{self.master};{self.version};{mac.hex()}".encode()

    def claim(self) -> str:
        """The key's name for W3C Baggage, with a proof that whoever says it holds the key."""
        mac = hmac.digest(self.secret, _CLAIM_TAG + self.key_id.encode(), "sha256")
        name = base64.urlsafe_b64encode(self.key_id.encode()).decode().rstrip("=")
        return f"v1.{self.master}.{self.version}.{mac.hex()}.{name}"


@dataclass(frozen=True)
class Signature:
    """A header's value, read."""

    master: str
    version: int
    mac: bytes

    @classmethod
    def parse(cls, value: bytes | None) -> "Signature | None":
        """None for what has not a signature's form."""
        parts = (value or b"").split(b";")
        if len(parts) != 4 or parts[0] != b"v1":
            return None
        return _signature(*(part.decode("ascii", "replace") for part in parts[1:]))


@dataclass(frozen=True)
class Claim:
    """A key named in Baggage, read; `Masters.is_true` says whether it may be believed."""

    key_id: str
    signature: Signature

    @classmethod
    def parse(cls, text: str) -> "Claim | None":
        """None for what has not a claim's form."""
        parts = text.strip().split(".")
        if len(parts) != 5 or parts[0] != "v1":
            return None
        signature = _signature(*parts[1:4])
        try:
            name = base64.b64decode(parts[4] + "=" * (-len(parts[4]) % 4), altchars=b"-_", validate=True)
            key_id = name.decode()
        except ValueError:
            return None
        return cls(key_id, signature) if signature is not None and key_id else None


class Masters:
    """The master secrets by their names, oldest first: new secrets are derived from the last one.

    Thread-safe.  Derived secrets are kept, up to some ten thousand.
    """

    def __init__(self, secrets: Mapping[str, bytes]) -> None:
        """Raises `UsageError` for a name or a secret that may not be one."""
        for name, secret in secrets.items():
            if not _MASTER.fullmatch(name):
                raise UsageError(f"A master secret cannot be named {name!r}.", "Use a-z and 0-9, up to 32.")
            if len(secret) < SECRET_BYTES:
                raise UsageError(
                    f"The master secret {name} is too short.", f"It needs {SECRET_BYTES} bytes or more."
                )
        self._secrets = dict(secrets)
        self._derived: dict[tuple[str, str, int], bytes] = {}

    def __bool__(self) -> bool:
        return bool(self._secrets)

    def issue(self, key_id: str, version: int) -> SigningKey:
        """The secret of a key, by the newest master.  Raises `UsageError` where there is no master."""
        if not self._secrets:
            raise UsageError("There is no master secret.", "Make one with `keytrail keys master`.")
        master = list(self._secrets)[-1]
        return SigningKey(key_id, master, version, derive(self._secrets[master], key_id, version))

    def verify(self, key_id: str, signature: Signature, fingerprint: bytes, datum: bytes) -> bool:
        """True where the signature is this key's over this datum."""
        return self._is_mac(key_id, signature, _TAG + fingerprint + datum)

    def is_true(self, claim: Claim) -> bool:
        """True where whoever made the claim held the key's secret."""
        return self._is_mac(claim.key_id, claim.signature, _CLAIM_TAG + claim.key_id.encode())

    def _is_mac(self, key_id: str, signature: Signature, message: bytes) -> bool:
        secret = self._secret(key_id, signature)
        return secret is not None and hmac.compare_digest(
            hmac.digest(secret, message, "sha256"), signature.mac
        )

    def _secret(self, key_id: str, signature: Signature) -> bytes | None:
        name = (signature.master, key_id, signature.version)
        secret = self._derived.get(name)
        if secret is None:
            master = self._secrets.get(signature.master)
            if master is None:
                return None
            if len(self._derived) >= _MOST_DERIVED:
                self._derived.clear()
            secret = self._derived[name] = derive(master, key_id, signature.version)
        return secret


def derive(master: bytes, key_id: str, version: int) -> bytes:
    """The secret of a key's version: HKDF-SHA-256 with salt `keytrail` (RFC 5869).

    The info is `signing-key-v1`, a zero byte, the version in decimal, a zero byte, and the key's id.
    One block is all that 32 bytes need.
    """
    info = b"signing-key-v1\0" + str(version).encode() + b"\0" + key_id.encode(errors="surrogatepass")
    pseudorandom = hmac.digest(b"keytrail", master, "sha256")
    return hmac.digest(pseudorandom, info + b"\x01", "sha256")


def fingerprint(schema_text: str) -> bytes:
    """SHA-256 of a schema's Parsing Canonical Form (Avro 1.12 specification), 32 bytes.

    Raises `SchemaError` for what is no schema.
    """
    avro.parse(schema_text)
    try:
        canonical = fastavro.schema.to_parsing_canonical_form(json.loads(schema_text))
    except Exception as error:
        raise SchemaError(f"Its canonical form cannot be made ({type(error).__name__}).") from error
    return hashlib.sha256(canonical.encode()).digest()


def _signature(master: str, version: str, mac: str) -> Signature | None:
    if not (_MASTER.fullmatch(master) and _VERSION.fullmatch(version) and _HEX.fullmatch(mac)):
        return None
    return Signature(master, int(version), bytes.fromhex(mac))


def _no_token() -> UsageError:
    return UsageError(
        "What was given as a key's secret is none.", "Give the whole line that `keytrail keys` showed."
    )
