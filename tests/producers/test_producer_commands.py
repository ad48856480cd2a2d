"""`keytrail emit`, `import` and `keys`, called as the command line calls them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from topic_reading import read_events

from keytrail.cli.main import main
from keytrail.cli.moments import parse_moment, show_moment
from keytrail.producers.ids import UuidV7
from keytrail.schemas.errors import UsageError
from keytrail.schemas.records import Micros
from keytrail.schemas.settings import Settings

new_id = UuidV7()
Run = Callable[..., tuple[int, str, str]]
RECORD = {
    "eventTime": "2026-07-10T12:24:10Z",
    "eventSource": "iam.amazonaws.com",
    "eventName": "AttachUserPolicy",
    "userIdentity": {"type": "IAMUser", "userName": "anna", "accessKeyId": "AKIAEXAMPLE"},
    "requestParameters": {"userName": "bob", "policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"},
    "errorMessage": "\ud800",
}


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command; its exit code, what it printed, and what it said on stderr."""

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


@pytest.fixture
def pipeline(settings: Settings) -> list[str]:
    return [
        "--data-dir",
        str(settings.data_dir),
        "--kafka",
        settings.kafka.bootstrap,
        "--registry",
        settings.registry.url,
        "--clickhouse",
        "http://unused",
    ]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2026-12-31", "2026-12-31T00:00:00Z"),
        ("2026-12-31T18:00+01:00", "2026-12-31T17:00:00Z"),
        ("2026-12-31T18:00:00.000001Z", "2026-12-31T18:00:00.000001Z"),
        ("90m", "1970-01-01T01:30:00Z"),
        ("2w", "1970-01-15T00:00:00Z"),
    ],
)
def test_moments_are_read_as_people_write_them(text: str, shown: str) -> None:
    assert show_moment(parse_moment(text, Micros(0))) == shown


@pytest.mark.parametrize("text", ["", "soon", "-5d", "5y", "999999w", "2026-13-01"])
def test_other_texts_are_no_moments(text: str) -> None:
    with pytest.raises(UsageError, match="is not a time"):
        parse_moment(text, Micros(0))


def test_a_dry_run_prints_the_events_and_sends_nothing(run: Run, tmp_path: Path) -> None:
    log = tmp_path / "log.json"
    log.write_text(json.dumps({"Records": [RECORD, RECORD]}))

    code, out, err = run("import", "cloudtrail", log, "--dry-run")

    first, second = map(json.loads, out.splitlines())
    assert (code, first) == (0, second)
    assert (first["action"], first["subject"], first["role"]) == ("grant", "bob", "AdministratorAccess")
    assert first["error"] == "\ufffd"
    assert "2 events read, 0 problems" in err


def test_what_cannot_be_read_is_named_and_the_rest_is_imported(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"Records": [{}, RECORD]}))
    (tmp_path / "b.json").write_text(json.dumps({"Records": [RECORD, RECORD]})[:-30])
    (tmp_path / "c.json").write_text(json.dumps(RECORD))

    code, out, err = run("import", "cloudtrail", tmp_path, "--dry-run")

    assert code == 1
    assert len(out.splitlines()) == 3
    assert "a.json, record 1 (character 13): it is no CloudTrail record: eventTime is missing." in err
    assert "b.json, record 2" in err
    assert "3 events read, 2 problems" in err


def test_a_path_that_is_not_there_is_a_wrong_use(run: Run, tmp_path: Path) -> None:
    code, out, err = run("import", "cloudtrail", tmp_path / "gone", "--dry-run")
    assert (code, out) == (2, "")
    assert "gone is not there" in err


def test_importing_twice_sends_the_same_bytes(
    run: Run, tmp_path: Path, pipeline: list[str], settings: Settings
) -> None:
    account = new_id()
    log = tmp_path / "log.json"
    log.write_text(json.dumps({"Records": [RECORD | {"recipientAccountId": account}]}))

    assert run("import", "cloudtrail", log, *pipeline)[0] == 0
    assert run("import", "cloudtrail", log, *pipeline)[0] == 0

    (once, event), (again, _) = read_events(settings, f"cloudtrail:{account}", 2)
    assert (once.key(), once.value()) == (again.key(), again.value())
    assert (event.subject, event.environment) == ("bob", account)


def test_emit_sends_one_event_and_prints_its_id(run: Run, pipeline: list[str], settings: Settings) -> None:
    code, out, _ = run(
        *("emit", "grant", "--key", "key-1", "--actor", "anna", "--subject", "bob", "--role", "admin"),
        *("--permission", "read", "--permission", "write", "--reason", "on call", "--attribute", "team=sre"),
        *pipeline,
    )

    event_id = out.strip()
    [(_, event)] = read_events(settings, event_id, 1)
    assert (code, event.event_id) == (0, event_id)
    assert (event.key_id, event.actor_id, event.action) == ("key-1", "anna", "grant")
    assert (event.subject, event.role, event.permissions) == ("bob", "admin", ["read", "write"])
    assert (event.reason, event.attributes) == ("on call", {"team": "sre"})


def test_emit_refuses_an_attribute_without_a_name(run: Run, pipeline: list[str]) -> None:
    code, out, err = run("emit", "use", "--actor", "anna", "--attribute", "team", *pipeline)
    assert (code, out) == (2, "")
    assert "NAME=TEXT" in err


def test_a_keys_life(run: Run, pipeline: list[str], settings: Settings) -> None:
    owner = f"owner-{new_id()}"
    code, out, _ = run(
        *("keys", "issue", "--owner", owner, "--kind", "service", "--team", "sre", "--expires", "90d"),
        *("--scope-actions", "grant,revoke", "--scope-actions", "use", "--scope-networks", "10.0.0.0/8"),
        *("--reason", "deploys", "--ticket", "OPS-1", "--actor", "anna", *pipeline),
    )
    key_id = out.strip()
    assert code == 0
    for verb in ("suspend", "revoke"):
        assert run("keys", verb, key_id, "--reason", "leak", "--actor", "bob", *pipeline)[0] == 0
    code, _, err = run("keys", "suspend", key_id, "--reason", "leak", *pipeline)
    assert code == 1
    assert "is revoked" in err

    _, out, _ = run("keys", "show", key_id, "--json", *pipeline)
    shown = json.loads(out)
    assert (shown["owner"], shown["status"], shown["version"]) == (owner, "revoked", 3)
    assert (shown["scope_actions"], shown["changed_by"]) == (["grant", "revoke", "use"], "bob")
    _, out, _ = run("keys", "list", *pipeline)
    assert any(key_id in line and "revoked" in line for line in out.splitlines())

    told = [event for _, event in read_events(settings, key_id, 3)]
    assert [(e.action, e.subject, e.actor_id, e.key_id) for e in told] == [
        ("issue_key", owner, "anna", shown["parent_key"]),
        ("suspend_key", owner, "bob", shown["parent_key"]),
        ("revoke_key", owner, "bob", shown["parent_key"]),
    ]
    _, out, _ = run("keys", "show", shown["parent_key"], "--json", *pipeline)
    assert "issue_key" in json.loads(out)["scope_actions"]
    assert told[0].attributes == {"new_key": key_id, "team": "sre"}
    assert (told[0].reason, told[0].ticket) == ("deploys", "OPS-1")


def test_a_key_id_is_issued_once(run: Run, pipeline: list[str]) -> None:
    key_id = new_id()
    issue = (
        "keys",
        "issue",
        "--id",
        key_id,
        "--owner",
        "anna",
        "--kind",
        "human",
        "--reason",
        "test",
        *pipeline,
    )
    assert run(*issue)[0] == 0
    code, _, err = run(*issue)
    assert code == 1
    assert "already a key" in err


@pytest.mark.parametrize(
    "flags",
    [("--expires", "2001-01-01"), ("--scope-networks", "10.0.0.0/8,home"), ("--scope-hours", "always")],
    ids=["expired", "network", "hours"],
)
def test_a_key_that_could_not_work_is_not_issued(
    run: Run, pipeline: list[str], settings: Settings, flags: tuple[str, str]
) -> None:
    owner = new_id()
    code, out, _ = run(
        "keys", "issue", "--owner", owner, "--kind", "human", "--reason", "test", *flags, *pipeline
    )
    assert (code, out) == (2, "")
    assert owner not in run("keys", "list", "--json", *pipeline)[1]
