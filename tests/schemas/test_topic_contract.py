"""The test vectors of `docs/topic-contract.md`, checked with the libraries that anybody would use."""

import base64
import hashlib
import hmac
import io
import json
from pathlib import Path
from typing import Any

import avro.io
import avro.schema
import fastavro
import pytest
from confluent_kafka import Consumer, Producer
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from keytrail.schemas.settings import Settings
from keytrail.schemas.signature import Claim, Masters, Signature, SigningKey
from keytrail.schemas.topics import EVENTS

ROOT = Path(__file__).parents[2]
VECTORS: dict[str, Any] = json.loads((ROOT / "docs" / "topic-contract.json").read_text())
SCHEMA_TEXT = (ROOT / "schemas" / "avsc" / "event.v1.avsc").read_text()
FINGERPRINT = bytes.fromhex(VECTORS["schema_fingerprint"])
MASTERS = {name: bytes.fromhex(secret) for name, secret in VECTORS["masters"].items()}


def secret_of(key_id: str, version: int) -> bytes:
    info = b"signing-key-v1\0" + str(version).encode() + b"\0" + key_id.encode()
    return HKDF(hashes.SHA256(), 32, b"keytrail", info).derive(MASTERS["m1"])


def test_the_fingerprint_is_that_of_the_canonical_form() -> None:
    canonical = fastavro.schema.to_parsing_canonical_form(json.loads(SCHEMA_TEXT))
    assert hashlib.sha256(canonical.encode()).digest() == FINGERPRINT
    # The canonical form has no logical types; this library leaves an empty shell of them.
    assert avro.schema.parse(_without_logical_types()).fingerprint("sha256") == FINGERPRINT


@pytest.mark.parametrize("vector", VECTORS["secrets"])
def test_secrets(vector: dict[str, Any]) -> None:
    secret = secret_of(vector["key_id"], vector["version"])
    assert secret.hex() == vector["secret"]
    text = base64.urlsafe_b64encode(secret).decode().rstrip("=")
    assert vector["token"] == f"keytrail1.m1.{vector['version']}.{text}.{vector['key_id']}"
    assert SigningKey.of_token(vector["token"]).secret == secret


@pytest.mark.parametrize("vector", VECTORS["events"])
def test_events(vector: dict[str, Any]) -> None:
    event, datum = vector["event"], bytes.fromhex(vector["datum"])
    written = io.BytesIO()
    avro.io.DatumWriter(avro.schema.parse(_without_logical_types())).write(
        event, avro.io.BinaryEncoder(written)
    )
    assert written.getvalue() == datum
    assert bytes.fromhex(vector["value_with_schema_id_7"]) == b"\0" + (7).to_bytes(4, "big") + datum
    assert vector["record_key"] == (event["subject"] or event["actor_id"])

    secret = secret_of(event["key_id"], vector["secret_version"])
    mac = hmac.new(secret, b"keytrail-signature-v1\0" + FINGERPRINT + datum, hashlib.sha256).hexdigest()
    assert vector["signature_header"] == f"v1;m1;{vector['secret_version']};{mac}"
    signature = Signature.parse(vector["signature_header"].encode())
    assert signature is not None
    assert Masters(MASTERS).verify(event["key_id"], signature, FINGERPRINT, datum)


@pytest.mark.parametrize("vector", VECTORS["claims"])
def test_claims(vector: dict[str, Any]) -> None:
    key_id = vector["key_id"].encode()
    mac = hmac.new(
        secret_of(vector["key_id"], vector["version"]), b"keytrail-baggage-v1\0" + key_id, "sha256"
    )
    name = base64.urlsafe_b64encode(key_id).decode().rstrip("=")
    assert vector["claim"] == f"v1.m1.{vector['version']}.{mac.hexdigest()}.{name}"
    claim = Claim.parse(vector["claim"])
    assert claim is not None
    assert Masters(MASTERS).is_true(claim)


def test_a_client_puts_the_records_where_the_vectors_say(settings: Settings) -> None:
    producer = Producer(settings.kafka.client(partitioner="murmur2_random"))
    placed: dict[str, int] = {}

    def note(error: object, message: Any) -> None:
        assert error is None
        placed[message.key().decode()] = message.partition()

    for vector in VECTORS["partitions"]:
        if vector["record_key"]:
            producer.produce(EVENTS.name, None, vector["record_key"].encode(), on_delivery=note)
    producer.flush(30)
    consumer = Consumer(settings.kafka.client(group_id="contract"))
    partitions = len(consumer.list_topics(EVENTS.name, 10).topics[EVENTS.name].partitions)
    consumer.close()
    assert placed == {
        vector["record_key"]: vector["murmur2"] % partitions
        for vector in VECTORS["partitions"]
        if vector["record_key"]
    }


def _without_logical_types() -> str:
    schema = json.loads(SCHEMA_TEXT)
    return json.dumps(_plain(schema))


def _plain(node: Any) -> Any:
    if isinstance(node, dict):
        return {name: _plain(value) for name, value in node.items() if name != "logicalType"}
    return [_plain(item) for item in node] if isinstance(node, list) else node
