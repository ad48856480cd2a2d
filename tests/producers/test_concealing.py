"""What leaves a process in privacy mode: nothing personal, and each person's own under their own key."""

from dataclasses import replace
from pathlib import Path

import pytest
from event_strategies import events
from hypothesis import given

from keytrail.producers.concealing import PLAIN_LIMIT_BYTES, Concealer
from keytrail.producers.subject_keys import KEY_LIFE, SubjectKeys
from keytrail.producers.trail import AuditTrail
from keytrail.schemas.errors import UsageError
from keytrail.schemas.masters import MasterFile, read_secrets
from keytrail.schemas.privacy import PrivacySecrets, PrivacySettings, is_pseudonym, sealed_with
from keytrail.schemas.records import Event, Key
from keytrail.schemas.settings import HttpSettings, KafkaSettings, Settings

_NOBODY = "127.0.0.1:9"
_SETTINGS = Settings(Path(), KafkaSettings(_NOBODY), HttpSettings(f"http://{_NOBODY}"), HttpSettings(""))
_SECRETS = PrivacySecrets({"m1": bytes(32)})
_RULES = PrivacySettings(on=True, services=("*-bot",))
_EVENT = Event("e-1", 1, 1, "billing", None, "anna", "human", None, None, "grant", "bob")


class _Time:
    now = 1

    def __call__(self) -> int:
        return self.now


@pytest.fixture(scope="module")
def concealer() -> Concealer:
    return Concealer(_RULES, _SECRETS, SubjectKeys(_SETTINGS, _SECRETS, _Time()))


@given(event=events())
def test_whatever_an_event_holds_names_and_texts_are_concealed_once(
    concealer: Concealer, event: Event
) -> None:
    hidden = concealer.event(event)
    for name in ("actor_id", "subject", "approved_by"):
        before, after = vars(event)[name], vars(hidden)[name]
        assert after == before if not before or before.endswith("-bot") else is_pseudonym(after)
    for name in _RULES.fields:
        assert bool(vars(event)[name]) == bool(vars(hidden)[name])
        assert not vars(hidden)[name] or sealed_with(vars(hidden)[name])
    assert hidden.attributes.keys() == event.attributes.keys()
    assert concealer.event(hidden) == hidden


def test_each_person_has_their_own_under_their_own_key(concealer: Concealer) -> None:
    hidden = concealer.event(
        replace(_EVENT, source_ip="10.0.0.1", reason="on call", attributes={"team": "pay", "note": "x"})
    )
    assert [(sealed_with(text or "") or ("",))[0] for text in (hidden.source_ip, hidden.reason)] == [
        _SECRETS.pseudonym("anna"),
        _SECRETS.pseudonym("bob"),
    ]
    assert hidden.attributes["team"] == "pay"
    assert sealed_with(hidden.attributes["note"])
    assert concealer.event(replace(_EVENT, subject="deploy-bot")).subject == "deploy-bot"


def test_what_is_concealed_needs_no_new_keys() -> None:
    keys = SubjectKeys(_SETTINGS, _SECRETS, _Time())
    hidden = Concealer(_RULES, _SECRETS, keys).event(replace(_EVENT, reason="on call"))
    others = SubjectKeys(_SETTINGS, _SECRETS, _Time())
    assert Concealer(_RULES, _SECRETS, others).event(hidden) == hidden
    assert (keys.flush(0.0), others.flush(0.0)) == (2, 0)


def test_a_key_record_names_its_owner_by_pseudonym(concealer: Concealer) -> None:
    key = Key("k-1", 1, "human", "anna", "pay", "active", 1, changed_by="dora", reason="new laptop")
    hidden = concealer.key(key)
    assert (hidden.owner, hidden.changed_by) == (_SECRETS.pseudonym("anna"), _SECRETS.pseudonym("dora"))
    assert concealer.key(hidden) == hidden


def test_keys_are_few_and_no_longer_used_than_their_life() -> None:
    time = _Time()
    keys = SubjectKeys(_SETTINGS, _SECRETS, time, most=2)
    first = keys.key_of("anna")
    assert keys.key_of("anna") is keys.key_of(first.pseudonym) is first
    time.now += KEY_LIFE
    second = keys.key_of("anna")
    assert second != first
    for name in ("bob", "cleo"):
        keys.key_of(name)
    assert keys.key_of("anna") not in (first, second)
    assert keys.flush(0.0) == 5  # Kafka is away: nothing waits for it, and nothing is forgotten


def test_a_trail_spools_nothing_personal(tmp_path: Path) -> None:
    secrets = tmp_path / "privacy.json"
    private = replace(_SETTINGS, privacy=_RULES, privacy_secrets=secrets)
    with pytest.raises(UsageError, match="keytrail person secret"):
        AuditTrail("billing", settings=private)
    MasterFile(secrets).add()
    trail = AuditTrail("billing", settings=private, spool=tmp_path / "spool")
    note = "a long story " * (PLAIN_LIMIT_BYTES // 10)
    trail.grant(
        "barnaby-brook",
        "admin",
        key="k-1",
        actor="annabella",
        reason="keytrail1.m1.1.secret.k-1 for barnaby-brook",
    )
    trail.grant(
        "barnaby-brook",
        "admin",
        key="k-1",
        actor="annabella",
        before={"note": note},
        reason="\ud800 torn apart",
    )
    trail.close(1.0)
    assert trail.lost == 0
    kept = b"".join(path.read_bytes() for path in (tmp_path / "spool").rglob("*") if path.is_file())
    assert kept.count(PrivacySecrets(read_secrets(secrets)).pseudonym("barnaby-brook").encode()) >= 2
    assert [
        text
        for text in (b"annabella", b"barnaby-brook", b"a long story", b"keytrail1.", b"torn apart")
        if text in kept
    ] == []
