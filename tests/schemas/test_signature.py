"""Secrets, signatures and claims: what is not exactly what the holder of the key wrote is found."""

import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from keytrail.schemas import avro
from keytrail.schemas.errors import SchemaError, UsageError
from keytrail.schemas.masters import MasterFile
from keytrail.schemas.signature import Claim, Masters, Signature, SigningKey, derive, fingerprint

MASTERS = Masters({"m1": bytes(range(32)), "m2": bytes(range(1, 33))})
FINGERPRINT = fingerprint(avro.schema_text("event"))
ids = st.text(min_size=1, max_size=40)
versions = st.integers(1, 999_999_999)


@given(st.binary(min_size=32, max_size=64), ids, versions)
def test_secrets_are_derived_as_rfc_5869_says(master: bytes, key_id: str, version: int) -> None:
    info = b"signing-key-v1\0" + str(version).encode() + b"\0" + key_id.encode()
    assert derive(master, key_id, version) == HKDF(hashes.SHA256(), 32, b"keytrail", info).derive(master)


@given(ids, versions)
def test_a_token_gives_the_same_key(key_id: str, version: int) -> None:
    key = MASTERS.issue(key_id, version)
    # Whitespace at a line's ends is left out, as it comes with copying.
    if key_id == key_id.strip():
        assert SigningKey.of_token(f" {key.token}\n") == key


@given(ids, versions, st.binary(max_size=300), st.data())
def test_whatever_is_altered_no_longer_fits(
    key_id: str, version: int, datum: bytes, data: st.DataObject
) -> None:
    value = MASTERS.issue(key_id, version).sign(FINGERPRINT, datum)
    signature = Signature.parse(value)
    assert signature is not None
    assert MASTERS.verify(key_id, signature, FINGERPRINT, datum)

    other_datum = data.draw(st.binary(max_size=300).filter(lambda other: other != datum))
    other_id = data.draw(ids.filter(lambda other: other != key_id))
    other_version = data.draw(versions.filter(lambda other: other != version))
    assert not MASTERS.verify(key_id, signature, FINGERPRINT, other_datum)
    assert not MASTERS.verify(other_id, signature, FINGERPRINT, datum)
    assert not MASTERS.verify(key_id, signature, bytes(32), datum)
    for changed in (
        Signature("m1", version, signature.mac),
        Signature("m3", version, signature.mac),
        Signature("m2", other_version, signature.mac),
    ):
        assert not MASTERS.verify(key_id, changed, FINGERPRINT, datum)
    place = data.draw(st.integers(0, len(value) - 1))
    flipped = value[:place] + bytes([value[place] ^ data.draw(st.integers(1, 255))]) + value[place + 1 :]
    parsed = Signature.parse(flipped)
    assert parsed is None or not MASTERS.verify(key_id, parsed, FINGERPRINT, datum)


@given(ids, versions, st.data())
def test_a_claim_is_true_for_its_own_key_alone(key_id: str, version: int, data: st.DataObject) -> None:
    text = MASTERS.issue(key_id, version).claim()
    claim = Claim.parse(text)
    assert claim is not None
    assert claim.key_id == key_id
    assert MASTERS.is_true(claim)

    other = MASTERS.issue(data.draw(ids.filter(lambda other: other != key_id)), version).claim()
    stolen = Claim.parse(".".join([*text.split(".")[:4], other.split(".")[4]]))
    assert stolen is not None
    assert not MASTERS.is_true(stolen)


@given(st.text(max_size=120))
def test_any_text_is_read_without_a_crash(text: str) -> None:
    Claim.parse(text)
    Signature.parse(text.encode(errors="surrogatepass"))
    with pytest.raises(UsageError):
        SigningKey.of_token(text)


def test_a_secret_is_in_no_repr_and_no_error() -> None:
    key = MASTERS.issue("key-1", 1)
    assert key.secret.hex() not in repr(key)
    secret = key.token.split(".")[3]
    with pytest.raises(UsageError) as error:
        SigningKey.of_token(key.token.replace("keytrail1", "keytrail9"))
    assert secret not in str(error.value)


def test_a_schema_means_the_same_whatever_its_docs_and_spaces() -> None:
    assert fingerprint('{"type":"record","name":"R","fields":[{"name":"a","type":"long","doc":"x"}]}') == (
        fingerprint('{ "name":"R", "type":"record", "fields":[ {"type":"long", "name":"a"} ] }')
    )
    with pytest.raises(SchemaError):
        fingerprint("{")


def test_a_new_master_is_used_from_then_on_and_the_old_one_goes_on_working(tmp_path: Path) -> None:
    file = MasterFile(tmp_path / "masters.json")
    assert not file.current()
    with pytest.raises(UsageError, match="no master secret"):
        file.current().issue("key-1", 1)
    assert file.add() == "m1"
    old = file.current().issue("key-1", 1)
    assert file.add() == "m2"
    new = file.current().issue("key-1", 2)
    assert (old.master, new.master) == ("m1", "m2")
    for key in (old, new):
        signature = Signature.parse(key.sign(FINGERPRINT, b"datum"))
        assert signature is not None
        assert file.current().verify("key-1", signature, FINGERPRINT, b"datum")
    assert file.path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", ["", "[]", '{"m1": 1}', '{"m1": "short"}', '{"M 1": "' + "A" * 44 + '"}'])
def test_a_file_that_holds_something_else_is_refused_and_not_repeated(tmp_path: Path, content: str) -> None:
    path = tmp_path / "masters.json"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(UsageError) as error:
        MasterFile(path).current()
    assert "short" not in str(error.value).replace("too short", "")


def test_a_file_that_everybody_may_read_is_refused(tmp_path: Path) -> None:
    file = MasterFile(tmp_path / "masters.json")
    file.add()
    os.chmod(file.path, 0o644)  # noqa: PTH101
    with pytest.raises(UsageError, match="chmod 600"):
        MasterFile(file.path).current()
