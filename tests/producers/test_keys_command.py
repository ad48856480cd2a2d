"""`keytrail keys`, called as the command line calls it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from topic_reading import read_events

from keytrail.cli.main import main
from keytrail.producers.ids import UuidV7
from keytrail.schemas.masters import MasterFile
from keytrail.schemas.settings import Settings
from keytrail.schemas.signature import SigningKey

new_id = UuidV7()
Keys = Callable[..., tuple[int, list[str], str]]
WHY = ("--reason", "test", "--actor", "anna")


@pytest.fixture
def keys(capsys: pytest.CaptureFixture[str], settings: Settings) -> Keys:
    """Runs `keytrail keys`; its exit code, the lines it printed, and what it said on stderr."""

    def call(*arguments: str | Path) -> tuple[int, list[str], str]:
        code = main(["keys", *map(str, arguments), "--data-dir", str(settings.data_dir)])
        printed = capsys.readouterr()
        return code, printed.out.splitlines(), printed.err

    return call


@pytest.fixture
def issued(keys: Keys) -> str:
    code, [key_id], _ = keys("issue", "--owner", "robot", "--kind", "service", "--expires", "90d", *WHY)
    assert code == 0
    return key_id


def shown(keys: Keys, key_id: str) -> dict[str, object]:
    _, [line], _ = keys("show", key_id, "--json")
    row: dict[str, object] = json.loads(line)
    return row


def test_a_rotated_key_works_on_for_the_overlap_and_names_its_successor(
    keys: Keys, issued: str, settings: Settings
) -> None:
    code, [new], _ = keys("rotate", issued, "--overlap", "2h", *WHY)
    assert code == 0
    old_row, new_row = shown(keys, issued), shown(keys, new)
    assert (old_row["successor"], new_row["predecessor"]) == (new, issued)
    assert str(old_row["expires_at"]) < str(new_row["expires_at"])
    assert (old_row["status"], new_row["status"], new_row["owner"]) == ("active", "active", "robot")
    told = [event for _, event in read_events(settings, new, 2)]
    assert [event.action for event in told] == ["rotate_key", "issue_key"]

    code, _, err = keys("rotate", issued, *WHY)
    assert code == 1
    assert f"was replaced by {new}" in err


def test_a_suspended_key_can_be_resumed_and_keeps_its_past(keys: Keys, issued: str) -> None:
    assert keys("suspend", issued, *WHY)[0] == 0
    assert shown(keys, issued)["status"] == "suspended"
    assert keys("resume", issued, *WHY)[0] == 0
    row = shown(keys, issued)
    assert (row["status"], row["suspended_at"], row["version"]) == ("active", None, 3)
    assert len(row["suspensions"]) == 1  # type: ignore[arg-type]


def test_an_edit_that_is_meant_for_another_version_is_refused(keys: Keys, issued: str) -> None:
    assert keys("suspend", issued, "--if-version", "1", *WHY)[0] == 0
    code, _, err = keys("revoke", issued, "--if-version", "1", *WHY)
    assert code == 1
    assert "is at version 2, not 1: anna has changed it" in err
    assert shown(keys, issued)["status"] == "suspended"


def test_a_secret_is_shown_once_and_nowhere_else(keys: Keys, settings: Settings) -> None:
    _, [key_id, token], err = keys("issue", "--owner", "robot", "--kind", "service", "--secret", *WHY)
    key = SigningKey.of_token(token)
    assert (key.key_id, key.version) == (key_id, 1)
    secret = token.split(".")[3]
    assert secret not in err
    assert secret not in json.dumps(shown(keys, key_id))
    assert secret not in repr(key)

    _, [again], _ = keys("secret", key_id, *WHY)
    renewed = SigningKey.of_token(again)
    assert renewed.version == 2
    assert renewed.secret != key.secret
    row = shown(keys, key_id)
    assert row["secret_version"] == 2
    assert str(row["secret_since"]) < str(row["old_secrets_until"])

    name = MasterFile(settings.masters).add()
    _, [by_another], _ = keys("secret", key_id, *WHY)
    assert SigningKey.of_token(by_another).master == name


def test_keys_are_changed_with_an_admins_key_that_may_do_it(keys: Keys, issued: str) -> None:
    code, _, err = keys("revoke", issued, "--key", issued, *WHY)
    assert code == 1
    assert "its scope does not name revoke_key" in err
    code, _, err = keys("revoke", issued, "--key", "nobody", *WHY)
    assert code == 1
    assert "There is no key nobody" in err

    _, [admin], _ = keys("issue", "--owner", "eve", "--kind", "human", "--scope-actions", "suspend_key", *WHY)
    assert keys("suspend", issued, "--key", admin, *WHY)[0] == 0
    assert keys("suspend", admin, *WHY)[0] == 0
    code, _, err = keys("resume", issued, "--key", admin, *WHY)
    assert code == 1
    assert f"Key {admin} is suspended" in err


def test_what_is_no_secret_is_refused_and_not_repeated(
    keys: Keys, issued: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEYTRAIL_KEY_SECRET", "keytrail1.m1.1.hunter2.key-1")
    code, _, err = keys("revoke", issued, *WHY)
    assert code == 2
    assert "hunter2" not in err


def test_many_keys_are_imported_all_or_none(keys: Keys, tmp_path: Path) -> None:
    one, two = new_id(), new_id()
    good = tmp_path / "keys.csv"
    good.write_text(
        "key_id,owner,kind,scope_actions,labels,expires_at\n"
        f'{one},robot,service,grant;revoke,"cost=7;tier=a",2099-01-01\n'
        f"{two},anna,human,,,\n"
    )
    code, _, err = keys("import", good, "--dry-run", *WHY)
    assert (code, "2 keys would be registered" in err) == (0, True)
    assert keys("show", one)[0] == 1

    assert keys("import", good, *WHY)[0] == 0
    row = shown(keys, one)
    assert (row["scope_actions"], row["labels"]) == (["grant", "revoke"], {"cost": "7", "tier": "a"})
    code, _, err = keys("import", good, *WHY)
    assert (code, "0 keys registered, 2 are there already, 0 refused" in err) == (0, True)

    three, bad = new_id(), tmp_path / "keys.jsonl"
    lines = [
        {"key_id": three, "owner": "robot", "kind": "service"},
        {"key_id": one, "owner": "mallory", "kind": "service"},
        {"owner": "robot", "kind": "robot"},
        {"owner": "robot", "kind": "service", "scope_networks": ["home"]},
        {"owner": "robot", "kind": "service", "colour": "red"},
    ]
    bad.write_text("".join(json.dumps(line) + "\n" for line in lines))
    code, _, err = keys("import", bad, *WHY)
    assert (code, "4 refused" in err) == (1, True)
    for said in (f"another key {one}", "no kind of key", "'home' is not a network", "'colour' is no field"):
        assert said in err
    assert keys("show", three)[0] == 1


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("keys.jsonl", '{"owner": "a", "kind": "human"}\nnot json\n', "key 2: It is not JSON"),
        ("keys.jsonl", "[1]\n", "not a JSON object"),
        ("keys.csv", 'owner,kind\n"a,human\n', "not CSV"),
        ("keys.csv", "owner,kind\na,human,more\n", "more cells than the header"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_the_place(
    keys: Keys, tmp_path: Path, name: str, content: str, said: str
) -> None:
    file = tmp_path / name
    file.write_text(content)
    code, _, err = keys("import", file, *WHY)
    assert code == 2
    assert said in err
    assert str(file) in err
