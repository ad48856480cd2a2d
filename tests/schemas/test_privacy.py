"""Pseudonyms, sealed values and wrapped keys: they come back whole, and open nowhere else."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keytrail.schemas.errors import UsageError
from keytrail.schemas.privacy import (
    DataKey,
    NamedKey,
    PrivacyError,
    PrivacySecrets,
    is_pseudonym,
    sealed_with,
)

_OLD, _NEW = bytes(range(32)), bytes(range(32, 64))
_PERSON = PrivacySecrets({"m1": _OLD}).pseudonym("anna")
_KEY = DataKey.make(_PERSON)


@given(st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(exclude_categories=["Cs"])))
def test_a_sealed_value_opens_where_it_was_sealed(text: str, place: str) -> None:
    sealed = _KEY.seal(text, place)
    assert sealed_with(sealed) == (_PERSON, _KEY.key_id)
    assert sealed != _KEY.seal(text, place)
    assert _KEY.open(sealed, place) == text
    with pytest.raises(PrivacyError):
        _KEY.open(sealed, f"{place}x")


@given(st.data())
def test_a_changed_value_does_not_open(data: st.DataObject) -> None:
    sealed = _KEY.seal("reason", "event/reason")
    at = data.draw(st.integers(0, len(sealed) - 2))  # the last character holds spare bits
    other = data.draw(st.characters(codec="utf-8").filter(lambda character: character != sealed[at]))
    with pytest.raises(PrivacyError):
        _KEY.open(sealed[:at] + other + sealed[at + 1 :], "event/reason")


def test_another_key_of_the_person_does_not_open_it() -> None:
    with pytest.raises(PrivacyError):
        DataKey.make(_PERSON).open(_KEY.seal("x", "p"), "p")
    with pytest.raises(PrivacyError):
        replace(_KEY, secret=bytes(32)).open(_KEY.seal("x", "p"), "p")
    assert "secret" not in repr(_KEY)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_pseudonyms_and_keys_outlive_a_rotation(name: str) -> None:
    before, after = PrivacySecrets({"m1": _OLD}), PrivacySecrets({"m1": _OLD, "m2": _NEW})
    pseudonym = before.pseudonym(name)
    assert is_pseudonym(pseudonym)
    assert after.pseudonym(name) == after.pseudonym(pseudonym) == pseudonym
    made = NamedKey(DataKey.make(pseudonym), name, 5)
    record_key, value = before.wrap(made)
    assert record_key == f"{pseudonym}/{made.key.key_id}"
    assert after.unwrap(record_key, value) == made
    with pytest.raises(PrivacyError, match="secret m2, which is not here"):
        before.unwrap(*after.wrap(made))


def test_a_key_record_that_is_damaged_or_moved_does_not_open() -> None:
    secrets = PrivacySecrets({"m1": _OLD})
    record_key, value = secrets.wrap(NamedKey(_KEY, "anna", 5))
    for name, record in (
        (f"{_PERSON}/0000000000000000", value),
        (record_key, value[:-9]),
        (record_key, b"{}"),
    ):
        with pytest.raises(PrivacyError, match="key record"):
            secrets.unwrap(name, record)


def test_without_a_secret_there_is_no_privacy_mode() -> None:
    with pytest.raises(UsageError, match="keytrail person secret"):
        PrivacySecrets({})


def test_the_forms_are_what_is_documented() -> None:
    """Fixed vectors: a pseudonym or a sealed value that is stored has to be found and opened for ever."""
    assert _PERSON == "person-526c078c6f0fa5e11ccedd500ef894de"
    sealed = (
        "enc1:person-526c078c6f0fa5e11ccedd500ef894de:012345678"
        "9abcdef:NJ0OqRDb88UZs2euzErFijfZ4a2a3-kB_sZcsdwg8rIRj08"
    )
    assert DataKey(_PERSON, "0123456789abcdef", _NEW).open(sealed, "event-1/reason") == "on call"
