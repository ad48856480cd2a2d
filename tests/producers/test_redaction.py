import json

import pytest
from event_strategies import any_json, any_text
from hypothesis import given
from hypothesis import strategies as st

from keytrail.producers.redaction import REDACTED, Redaction, scrubbed
from keytrail.schemas.signature import SigningKey

TOKEN = SigningKey("key-1", "m1", 1, bytes(range(32))).token
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\n-----END RSA PRIVATE KEY-----"
AWS_SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
SECRETS = [
    TOKEN,
    JWT,
    PEM,
    AWS_SECRET,
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_" + "a1B2" * 9,
    "xoxb-123456789012-abcdef",
]


@pytest.mark.parametrize("secret", SECRETS)
def test_what_has_a_secrets_form_is_hidden_wherever_it_stands(secret: str) -> None:
    rules = Redaction()
    assert secret not in rules.text("reason", f"with {secret} done")
    assert rules.text("reason", secret) == REDACTED
    assert rules.map("attributes", {"note": secret}) == {"note": REDACTED}
    assert set(rules.map("attributes", {secret: "x"})) == {REDACTED}
    state = {"a": [{"b": secret}], secret: None}
    assert json.loads(rules.json("after", json.dumps(state))) == {"a": [{"b": REDACTED}], REDACTED: None}
    assert json.loads(rules.json("after", json.dumps(json.dumps(state)))) is not None
    assert secret not in rules.json("after", json.dumps(json.dumps({"a": secret})))


@pytest.mark.parametrize(
    "name",
    [
        *("password", "DB_PASSWORD", "passwd", "token", "access_token", "client-secret", "Authorization"),
        *("api_key", "apiKey", "X-API-Key", "private_key", "cookie", "credentials", "pass"),
    ],
)
def test_what_has_a_secrets_name_is_hidden(name: str) -> None:
    rules = Redaction()
    assert rules.map("attributes", {name: "hunter2"}) == {name: REDACTED}
    state = {"user": {name: "hunter2", "name": "bob", "on": [{name: 7}, {name: None}]}}
    assert json.loads(rules.json("before", json.dumps(state))) == {
        "user": {name: REDACTED, "name": "bob", "on": [{name: REDACTED}, {name: None}]}
    }


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("login failed: password=hunter2 for bob", "login failed: password=[redacted] for bob"),
        ('{"password": "hunter two", "a": 1}', '{"password": "[redacted]", "a": 1}'),
        ("postgres://bob:hunter2@db/prod", "postgres://[redacted]@db/prod"),
        ("https://db/prod?token=abc&x=1", "https://db/prod?token=[redacted]&x=1"),
        ("Authorization: Bearer abcdefgh12345678", "Authorization: [redacted] [redacted]"),
    ],
)
def test_what_is_said_to_be_a_secret_is_hidden_and_the_rest_is_kept(text: str, kept: str) -> None:
    assert scrubbed(text) == kept


@pytest.mark.parametrize(
    "text",
    [
        *(
            "on call",
            "joined the team",
            "OPS-42",
            "https://wiki/page?id=3",
            "passed the review",
            "key-finance-7",
        ),
        *(
            "0123456789abcdef0123456789abcdef01234567",
            "arn:aws:iam::123456789012:role/Admin",
            "bob@example.com",
        ),
        "019823ab-1234-7abc-8def-0123456789ab",
    ],
)
def test_ordinary_texts_are_left_alone(text: str) -> None:
    assert scrubbed(text) == text


def test_a_rule_of_the_users_own_may_hide_more() -> None:
    def own(place: str, text: str) -> str:
        if text == "fail":
            raise RuntimeError
        return f"{place}!" if "iban" in place or text == "DE89" else text

    rules = Redaction(own)
    assert rules.text("reason", "DE89") == "reason!"
    assert rules.text("reason", "fail") == REDACTED
    assert rules.map("attributes", {"iban": "1", "password": "x", "b": "2"}) == {
        "iban": "attributes.iban!",
        "password": REDACTED,
        "b": "2",
    }
    assert json.loads(rules.json("after", '{"user": {"iban": "1", "b": ["DE89"]}}')) == {
        "user": {"iban": "after.user.iban!", "b": ["after.user.b!"]}
    }


@given(any_json, any_text)
def test_no_value_makes_it_raise(value: object, text: str) -> None:
    rules = Redaction()
    assert isinstance(rules.text("reason", text), str)
    json.loads(rules.json("after", json.dumps(value)))


def test_json_that_was_cut_short_is_looked_at_as_text() -> None:
    cut = json.dumps({"password": "hunter2", "log": json.dumps({"token": "hunter3"}), "more": "x"})[:-3]
    kept = Redaction().json("after", cut)
    assert "hunter" not in kept
    assert kept.endswith('"more": "')


def test_it_takes_no_time_for_ever() -> None:
    for piece in ("a", "A1a/", "token", "eyJ", "://", "-----BEGIN ", "password=", "bearer "):
        scrubbed(piece * (1_000_000 // len(piece)))


@given(st.text())
def test_a_token_is_hidden_whatever_surrounds_it(text: str) -> None:
    assert TOKEN.split(".")[3] not in scrubbed(f"{text}{TOKEN}{text}")
