"""`keytrail policy`, the policy of a worker, and `docs/policy.md`."""

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from keytrail.cli.main import main
from keytrail.cli.policy_in_force import policy_of
from keytrail.cli.up import Applications
from keytrail.schemas.settings import find_policy_file
from keytrail.stream.policies.file import parse_policy, read_policy
from keytrail.stream.policies.form import json_schema, plain
from keytrail.stream.policies.policy import Policy, Signing

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "policy.md").read_text()
Run = Callable[..., tuple[int, str, str]]
Write = Callable[..., Path]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `keytrail policy`; its exit code, what it printed, and what it said on stderr."""

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        code = main(["policy", *map(str, arguments)])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a policy file with this text below its version."""

    def call(text: str, name: str = "policy.yaml") -> Path:
        path = tmp_path / name
        path.write_text(f"version: 1\n{text}")
        return path

    return call


def test_check_says_the_version_or_everything_that_is_wrong(run: Run, write: Write) -> None:
    path = write("sprawl: {least_roles: 3}")
    version = read_policy(path).version
    assert run("check", path) == (0, f"{path} is fine: policy {version}.\n", "")
    path = write("sprawl: {least_roles: no}\nx: 1")
    code, out, said = run("check", path)
    assert (code, out) == (2, "")
    first, *others = said.splitlines()
    assert first == f"keytrail policy: {path} cannot be used:"
    assert [line.split(" ")[:2] for line in others] == [
        [f"{path}:2:", "sprawl.least_roles"],
        [f"{path}:3:", "x"],
    ]


def test_what_show_prints_is_the_same_policy(run: Run, write: Write) -> None:
    for path in (["--built-in"], [write("rules: {unknown_key: {enabled: false, severity: low}}")]):
        code, shown, _ = run("show", *path)
        assert code == 0
        assert parse_policy(shown, "shown") == (
            Policy() if path == ["--built-in"] else read_policy(Path(path[0]))
        )


def test_diff_says_what_differs_field_by_field(run: Run, write: Write) -> None:
    path = write(
        "privileged_roles: ['*admin*', '*fullaccess*', '*poweruser*', '*superuser*', root, '*:*', boss]\n"
        "separations: [{name: payments, first: ['*-payment-creator'], second: [x]}]\n"
        "sprawl: {least_roles: 9, times_peers: 2}\n"
        "rules: {unknown_key: {enabled: false}, expired_key: {severity: high}}\n"
    )
    code, out, _ = run("diff", path, "--json")
    assert code == 1
    release = plain(Policy())["separations"][1]
    assert [tuple(json.loads(line).values()) for line in out.splitlines()] == [
        ("privileged_roles", "owner", None),
        ("privileged_roles", None, "boss"),
        ("separations.payments.second", "*-payment-approver", None),
        ("separations.payments.second", None, "x"),
        ("separations.payments.first_permissions", "*.payment.create", None),
        ("separations.payments.second_permissions", "*.payment.approve", None),
        ("separations.code and release", release, None),
        ("sprawl.least_roles", 8, 9),
        ("rules.unknown_key.enabled", True, False),
        ("rules.expired_key.severity", None, "high"),
    ]
    code, out, _ = run("diff", path)
    assert code == 1
    assert out.splitlines()[0].split() == ["FIELD", "BEFORE", "AFTER"]
    assert len(out.splitlines()) == 11


def test_diff_of_what_has_no_name_says_which_items_came_and_went(run: Run, write: Write) -> None:
    exception = "{{rule: missing_reason, entity: a, owner: {}, reason: c, until: 2027-01-01}}"
    one = write(f"exceptions: [{exception.format('bob')}]\nseverity_shifts: [{{by: 1}}, {{by: 2}}]")
    other = write(
        f"exceptions: [{exception.format('carol')}]\nseverity_shifts: [{{by: 2}}, {{by: 1}}]", "other.yaml"
    )
    code, out, _ = run("diff", one, other, "--json")
    found = [json.loads(line) for line in out.splitlines()]
    assert code == 1
    assert [(each["field"], (each["before"] or each["after"])) for each in found][:2] == [
        ("exceptions", plain(read_policy(Path(one)))["exceptions"][0]),
        ("exceptions", plain(read_policy(Path(other)))["exceptions"][0]),
    ]
    assert [each["field"] for each in found][2:] == ["severity_shifts (order)"]


def test_diff_tells_custom_rules_apart_by_their_names(run: Run, write: Write) -> None:
    custom = 'custom_rules: [{{name: custom_x, when: event.action == "grant", summary: {}}}{}]'
    more = ', {name: custom_y, when: event.action == "use", summary: It was used.}'
    one = write(custom.format("It happened.", ""))
    other = write(custom.format("It was given.", more), "other.yaml")
    code, out, _ = run("diff", one, other, "--json")
    found = [json.loads(line) for line in out.splitlines()]
    assert code == 1
    assert found[0] == {
        "field": "custom_rules.custom_x.summary",
        "before": "It happened.",
        "after": "It was given.",
    }
    assert [(each["field"], each["before"], each["after"]["when"]) for each in found[1:]] == [
        ("custom_rules.custom_y", None, 'event.action == "use"')
    ]


def test_diff_of_two_files(run: Run, write: Write) -> None:
    one = write("sprawl: {least_roles: 9}")
    same = write("sprawl: {times_peers: 2.0, least_roles: 9}", "same.yaml")
    assert run("diff", one, same) == (0, "", "")
    assert run("diff", write("", "empty.yaml")) == (0, "", "")
    other = write("sprawl: {least_roles: 10}", "other.yaml")
    code, out, _ = run("diff", one, other, "--json")
    assert (code, json.loads(out)) == (1, {"field": "sprawl.least_roles", "before": 9, "after": 10})


def test_another_order_of_patterns_is_a_difference_as_it_is_another_version(run: Run, write: Write) -> None:
    one, other = write("privileged_roles: [a, b]"), write("privileged_roles: [b, a]", "other.yaml")
    assert read_policy(one).version != read_policy(other).version
    code, out, _ = run("diff", one, other, "--json")
    assert (code, json.loads(out)["field"]) == (1, "privileged_roles (order)")


def test_the_committed_schema_is_the_one_that_is_printed(run: Run) -> None:
    code, out, _ = run("schema")
    assert code == 0
    assert json.loads(out) == json_schema()
    assert (DOCS / "policy.schema.json").read_text() == out, (
        "Run `keytrail policy schema > docs/policy.schema.json`."
    )


def test_the_policy_file_is_that_of_the_flag_the_environment_or_the_settings(tmp_path: Path) -> None:
    config = tmp_path / "keytrail.toml"
    config.write_text('policy = "/c.yaml"\n')
    env = {"KEYTRAIL_CONFIG": str(config), "KEYTRAIL_POLICY": "/b.yaml"}
    assert find_policy_file(Path("/a.yaml"), env) == Path("/a.yaml")
    assert find_policy_file(None, env) == Path("/b.yaml")
    del env["KEYTRAIL_POLICY"]
    assert find_policy_file(None, env) == Path("/c.yaml")
    config.write_text("")
    assert find_policy_file(None, env) is None


def test_who_must_sign_is_set_by_the_file_or_else_by_the_settings(
    write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert policy_of(None) == Policy()
    monkeypatch.setenv("KEYTRAIL_SIGNING_KEYS", "ci-*, pk_1")
    assert policy_of(None) == Policy(signing=Signing(("ci-*", "pk_1")))
    assert policy_of(write("sprawl: {least_roles: 9}")).signing == Signing(("ci-*", "pk_1"))
    assert policy_of(write("signing: {services: [vault]}")).signing == Signing((), ("vault",))


def test_neither_a_worker_nor_a_stack_starts_with_a_policy_that_is_wrong(
    write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("x: 1")
    engines = ["--kafka", "nowhere:1", "--registry", "http://nowhere:1"]
    for command in (
        ["worker", *engines, "--policy", str(path)],
        ["up", "--data-dir", str(tmp_path / "data"), "--policy", str(path)],
    ):
        assert main(command) == 2
        assert "policy.yaml:2: x is no field" in capsys.readouterr().err
    monkeypatch.setenv("KEYTRAIL_POLICY", str(path))
    assert main(["worker", *engines]) == 2
    assert not (tmp_path / "data").exists()


def test_a_stack_hands_its_policy_on_to_its_workers(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    for part in Applications(2, 1, 8, path).parts():
        given = shlex.join(part.command).endswith(f"--policy {path} --instance {part.name}")
        assert given == part.name.startswith("worker")
    assert not any("--policy" in part.command for part in Applications(1, 1, 8).parts())


def test_the_pages_example_is_a_policy() -> None:
    example, _cases = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    policy = parse_policy(example, "docs/policy.md")
    assert set(re.findall(r"^(\w+):", example, re.MULTILINE)) == plain(policy).keys()
    assert policy.privileged_roles == (*Policy().privileged_roles, "*breakglass*")


def test_the_pages_commands_do_what_it_says(
    run: Run, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("sprawl: {least_roles: 9}")
    write("", "newer.yaml")
    write("cases: [{name: x, events: [{occurred_at: 2026-03-02T10:00:00Z, action: use}]}]", "cases.yaml")
    monkeypatch.chdir(tmp_path)
    [block] = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    commands = [shlex.split(line.removeprefix("$ keytrail policy ")) for line in block.splitlines()]
    assert [run(*words)[0] for words in commands] == [0, 0, 1, 1, 0, 0]


def test_the_page_has_each_field_with_its_default() -> None:
    rows = re.findall(r"^\| `(.*?)` \| (.*?) \|", PAGE, re.MULTILINE)
    named = {re.sub(r"\[\]|\.NAME", "", field): default for field, default in rows}
    assert named.keys() == set(_fields(json_schema()))
    for field, default in named.items():
        if field.startswith("sprawl."):
            assert default == str(getattr(Policy().sprawl, field.removeprefix("sprawl.")))
    assert named["privileged_roles"] == f"{len(Policy().privileged_roles)} patterns"
    assert named["escalation_permissions"] == f"{len(Policy().escalation_permissions)} patterns"
    assert named["separations"] == str(len(Policy().separations))


def _fields(schema: dict[str, Any], prefix: str = "") -> list[str]:
    fields = []
    for name, described in schema["properties"].items():
        inner = described.get("items", described)
        if name == "rules" and not prefix:
            [inner, *_] = described["properties"].values()
        nested = _fields(inner, f"{prefix}{name}.") if "properties" in inner else []
        fields += nested if nested and "items" not in described else [f"{prefix}{name}", *nested]
    return fields
