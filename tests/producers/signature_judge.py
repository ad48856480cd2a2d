"""The naive judge of signatures: every secret is derived and every signature made anew."""

import hashlib
import hmac
import io
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

import fastavro

from keytrail.producers.signing import Sign, unsigned
from keytrail.producers.simulation import Finding
from keytrail.schemas import avro
from keytrail.schemas.records import Event, Key

MASTER = bytes(range(32))
_SCHEMA = avro.parse(avro.schema_text("event"))
_FINGERPRINT = hashlib.sha256(b"the event's schema").digest()


class SignatureJudge:
    """`sign` signs the events, with secrets of the one master secret, `MASTER`."""

    def __init__(self, keys: Mapping[str, Key], signing: Mapping[str, Any], sign: Sign) -> None:
        self._keys = keys
        self._signing = signing
        self._sign = sign

    def judge(self, event: Event) -> Iterator[Finding]:
        datum = b"" if self._sign is unsigned else _datum(event)
        header = self._sign(event, _FINGERPRINT, datum)
        entity = ("key", event.key_id) if event.key_id else ("service", event.service)
        if header is None:
            if self._must_sign(event):
                yield Finding("missing_signature", *entity, event.service)
            return
        _, _, version, mac = header.decode().split(";")
        if mac != _mac(event.key_id or "", version, datum):
            yield Finding("invalid_signature", *entity, "")
        elif self._is_old(self._keys[event.key_id or ""], int(version), event.occurred_at):
            yield Finding("invalid_signature", *entity, "old secret")

    def _must_sign(self, event: Event) -> bool:
        named = ((event.service, "services"), (event.key_id or "", "keys"))
        return any(fnmatchcase(name, one) for name, kind in named for one in self._signing.get(kind, ()))

    def _is_old(self, key: Key, version: int, at: int) -> bool:
        if version < key.secret_version - 1:
            return at >= key.secret_since
        return version < key.secret_version and at >= key.old_secrets_until


def _datum(event: Event) -> bytes:
    file = io.BytesIO()
    fastavro.schemaless_writer(file, _SCHEMA, vars(event))
    return file.getvalue()


def _mac(key_id: str, version: str, datum: bytes) -> str:
    extracted = hmac.digest(b"keytrail", MASTER, "sha256")
    info = f"signing-key-v1\0{version}\0{key_id}".encode()
    secret = hmac.digest(extracted, info + b"\1", "sha256")
    return hmac.digest(secret, b"keytrail-signature-v1\0" + _FINGERPRINT + datum, "sha256").hex()
