"""The policy file: what it may say, and what is said where it is wrong."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from keytrail.schemas.errors import UsageError
from keytrail.stream.detections.catalogue import RULES
from keytrail.stream.policies.duties import Separation
from keytrail.stream.policies.file import MOST_BYTES, parse_policy, policy_text, read_policy
from keytrail.stream.policies.form import json_schema
from keytrail.stream.policies.policy import Policy, RuleSetting, Signing, SprawlLimits
from keytrail.stream.policies.problems import PolicyError
from keytrail.stream.policies.role_model import DescribedRole

WHOLE = """\
version: 1
privileged_roles: ["*admin*", root]
escalation_permissions: ["iam:PassRole"]
separations:
  - name: payments
    first: ["*-creator"]
    second: ["*-approver"]
sprawl:
  least_roles: 4
  times_peers: 3
signing:
  services: ["billing-*"]
rules:
  missing_reason: {enabled: false}
  expired_key: {severity: low}
  unknown_key: {enabled: true}
"""


def problems(text: str) -> list[str]:
    with pytest.raises(PolicyError) as raised:
        parse_policy(text, "policy.yaml")
    first, *others = str(raised.value).splitlines()
    assert first == "policy.yaml cannot be used:"
    return [line.removeprefix("policy.yaml:") for line in others]


def test_a_file_says_what_differs_from_the_built_in_policy() -> None:
    assert parse_policy(WHOLE, "") == Policy(
        privileged_roles=("*admin*", "root"),
        escalation_permissions=("iam:PassRole",),
        separations=(Separation("payments", ("*-creator",), ("*-approver",)),),
        sprawl=SprawlLimits(least_roles=4, times_peers=3.0),
        signing=Signing(services=("billing-*",)),
        rules=(RuleSetting("expired_key", severity="low"), RuleSetting("missing_reason", enabled=False)),
    )
    assert parse_policy("version: 1", "") == Policy()
    assert parse_policy("\ufeffversion: 1\n", "") == Policy()


def test_the_same_content_has_the_same_version_in_whatever_order_it_is_written() -> None:
    content = yaml.safe_load(WHOLE)
    content["rules"] = dict(reversed(content["rules"].items()))
    turned = yaml.safe_dump(dict(reversed(content.items())), sort_keys=False)
    assert parse_policy(turned, "").version == parse_policy(WHOLE, "").version
    assert parse_policy("version: 1\nsprawl: {times_peers: 2}", "").version == Policy().version
    assert parse_policy("version: 1\nrules: {unknown_key: {enabled: true}}", "").version == Policy().version


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", " It is empty. Begin it with version: 1."),
        ("# nothing\n", " It is empty. Begin it with version: 1."),
        ("hello", '1: The file is "hello"; write a mapping with fields.'),
        ("- version: 1", "1: The file is a list; write a mapping with fields."),
        ("sprawl: {}", "1: version is missing; add it."),
        ("version: 2", "1: version is 2; write 1, which is the form that this keytrail reads."),
        ('version: "1"', '1: version is "1"; write 1, which is the form that this keytrail reads.'),
        ("version: 1\nsprwal: {}", "2: sprwal is no field; do you mean sprawl?"),
        (
            "version: 1\nsigning:\n  xyz: 1",
            "3: signing.xyz is no field; there are: keys, services.",
        ),
        ("version: 1\nsprawl: {}\nsprawl: {}", "3: sprawl is there twice, first in line 2; leave one out."),
        (
            "version: 1\nsprawl:\n  least_roles: many",
            '3: sprawl.least_roles is "many"; write a whole number from 1 to 1000.',
        ),
        (
            "version: 1\nsprawl:\n  least_roles: 1001",
            "3: sprawl.least_roles is 1001; write a whole number from 1 to 1000.",
        ),
        (
            "version: 1\nsprawl:\n  least_roles: 0x10",
            "3: sprawl.least_roles is 0x10; write a whole number from 1 to 1000.",
        ),
        (
            "version: 1\nsprawl:\n  times_peers: .nan",
            "3: sprawl.times_peers is .nan; write a number from 1 to 100.",
        ),
        (
            "version: 1\nsprawl:\n  times_peers: {}",
            "3: sprawl.times_peers is a mapping; write a number from 1 to 100.",
        ),
        ("version: 1\nsprawl:", "2: sprawl is empty; write a mapping with fields."),
        ("version: 1\nprivileged_roles: root", '2: privileged_roles is "root"; write a list.'),
        ("version: 1\nrules: [x]", "2: rules is a list; write a mapping with names of rules."),
        (
            "version: 1\nrules:\n  unknown_keys: {}",
            "3: rules.unknown_keys is no rule; do you mean unknown_key?",
        ),
        (
            "version: 1\nrules:\n  unknown_key: {enabled: yes}",
            "3: rules.unknown_key.enabled is yes; write true or false.",
        ),
        (
            "version: 1\nrules:\n  unknown_key: {severity: urgent}",
            '3: rules.unknown_key.severity is "urgent"; write low, medium, high or critical.',
        ),
        (
            "version: 1\nprivileged_roles:\n- root\n- root",
            '4: privileged_roles[1] is "root" once more; leave one out.',
        ),
        (
            "version: 1\nseparations:\n- {name: a, first: [b], second: [c]}\n"
            "- {name: a, first: [d], second: [e]}",
            '4: separations[1] is "a" once more; leave one out.',
        ),
        (
            "version: 1\nseparations:\n- {name: a, first: [], second: [c]}",
            "3: separations[0].first names no role; add it, or first_permissions.",
        ),
        (
            "version: 1\nseparations:\n- {name: a, first: [b]}",
            "3: separations[0].second names no role; add it, or second_permissions.",
        ),
        (
            "version: 1\nroles:\n- {name: a, includes: [b]}\n- {name: c}",
            '3: "a" includes "b", which is not among roles; add it there, or leave it out.',
        ),
        (
            "version: 1\nroles:\n- name: a\n  includes: [b]\n- name: b\n  includes: [c]\n"
            "- name: c\n  permissions: [p]\n  includes: [b]",
            '9: "b" includes "c" includes "b", so that it includes itself; take "b" out of "c".',
        ),
        (
            "version: 1\nroles:\n- {name: a, includes: [a]}",
            '3: "a" includes "a", so that it includes itself; take "a" out of "a".',
        ),
        (
            "version: 1\nprivileged_roles:\n- *admin*",
            "3: It is not valid YAML. Put a pattern that begins with * or & in quotes.",
        ),
        (
            "version: 1\nprivileged_roles:\n- *admin\n",
            "3: *admin is an alias, which a policy does not take. "
            "Put a pattern that begins with * or & in quotes.",
        ),
        (
            "version: 1\nsprawl: &s {}\n",
            "2: &s is an anchor, which a policy does not take. "
            "Put a pattern that begins with * or & in quotes.",
        ),
        (
            "version: 1\nsprawl: {least_roles: 1",
            "2: It is not valid YAML (while parsing a flow mapping, expected ',' or '}', "
            "but got '<stream end>').",
        ),
        (
            "version: 1\n---\nversion: 1",
            "2: It is not valid YAML (expected a single document in the stream, but found another document).",
        ),
        ("version: 1\n\x07", "2: The character U+0007 cannot stand in YAML. Take it out."),
        (
            'version: 1\nprivileged_roles: ["\\UFFFFFFFF"]',
            " It is not valid YAML. Look for odd escapes that begin with a backslash.",
        ),
        (
            "version: 1\n? [a]\n: 1",
            "2: The file has a list or mapping for a name; write a plain name.",
        ),
        (
            "version: 1\n!!python/name:os.system x: 1\n",
            "2: x is no field; there are: version, privileged_roles, privileged_permissions, "
            "escalation_permissions, roles, separations, sprawl, explosion, flapping, movers, "
            "change_windows, lineage, orphans, burst, refusals, dormancy, networks, sharing, cadence, "
            "travel, reviews, silence, sequences, signing, auto_suspend, rules, exceptions, severity_shifts, "
            "custom_rules.",
        ),
        (
            "version: 1\nsigning: " + "[" * 30,
            "2: It is not valid YAML (lists and mappings are nested too deep, or too many).",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, said: str) -> None:
    assert problems(text) == [said]


@pytest.mark.parametrize("pattern", ["''", "null", "1", "2026-01-01", "'  '", "' a'", '"\\e[31m"', "x" * 201])
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    [said] = problems(f"version: 1\nsigning:\n  keys: [{pattern}]")
    assert said.startswith("3: signing.keys[0] is ")
    assert said.endswith(
        '; write a key\'s pattern such as "ci-*", of 1 to 200 characters and with no blank at its ends.'
    )
    assert said.isprintable()
    assert len(said) < 230


def test_every_problem_is_said_at_once_in_the_order_of_lines() -> None:
    text = "sprawl:\n  least_roles: 0\n  x: 1\nrules:\n  nothing: {}\nsigning: {keys: [*a, ok]}\n"
    assert [said.split(" ")[0] for said in problems(text)] == ["1:", "2:", "3:", "5:", "6:"]


def test_of_very_many_problems_the_first_are_said() -> None:
    text = "version: 1\nprivileged_roles:\n" + "- 1\n" * 500
    said = problems(text)
    assert len(said) == 101
    assert said[-1] == " There are 400 more problems."


def test_a_file_that_cannot_be_read_is_said_to_be_so(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    with pytest.raises(PolicyError, match="No such file"):
        read_policy(path)
    with pytest.raises(PolicyError, match="Is a directory"):
        read_policy(tmp_path)
    with pytest.raises(PolicyError, match="null"):
        read_policy(Path("a\0b"))
    path.write_bytes(b"version: 1\nsprawl: \xff\n")
    with pytest.raises(PolicyError, match=r"policy.yaml:2: It is not UTF-8\."):
        read_policy(path)
    path.write_bytes(b"#" * (MOST_BYTES + 1))
    with pytest.raises(UsageError, match="more than 1,000,000 bytes"):
        read_policy(path)
    path.write_text(WHOLE)
    assert read_policy(path) == parse_policy(WHOLE, "")


_ITEMS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.dates()
    | st.binary(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("version", "sprawl", "signing", "rules", "separations", "name", "first", "keys"),
                    *("privileged_roles", "least_roles", "unknown_key", "enabled", "severity"),
                ]
            )
            | st.text(max_size=5),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


def _is_read_or_refused(text: str) -> None:
    said: Policy | PolicyError
    try:
        said = parse_policy(text, "x")
    except PolicyError as error:
        said = error
    if isinstance(said, PolicyError):
        assert said.problems
        assert all(0 <= problem.line <= len(text) + 1 for problem in said.problems)
        assert "\x1b" not in str(said)


@given(st.text() | st.text("{}[]:,-?&*!|>'\"%@` \n\t#a1\\xuU"))
@settings(max_examples=400)
def test_any_text_is_read_or_refused(text: str) -> None:
    _is_read_or_refused(text)
    _is_read_or_refused(f"version: 1\nprivileged_roles: {text}")
    _is_read_or_refused(f'version: 1\nrules: ["{text}"]')


@given(_ITEMS)
@settings(max_examples=300)
def test_any_yaml_is_read_or_refused(content: object) -> None:
    _is_read_or_refused(yaml.safe_dump(content))
    _is_read_or_refused(yaml.safe_dump({"version": 1, "rules": content, "separations": [content]}))


_TEXT = st.text(min_size=1, max_size=8).filter(
    lambda text: text == text.strip() and not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in text)
)


def _several(least: int = 0) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(_TEXT, min_size=least, max_size=3, unique=True).map(tuple)


_POLICIES = st.builds(
    Policy,
    privileged_roles=_several(),
    escalation_permissions=_several(),
    separations=st.lists(
        st.builds(Separation, _TEXT, _several(1), _several(), _several(), _several(1), _several(1)),
        max_size=3,
        unique_by=lambda s: s.name,
    ).map(tuple),
    roles=st.lists(st.builds(DescribedRole, _TEXT, _several()), max_size=3, unique_by=lambda r: r.name).map(
        tuple
    ),
    sprawl=st.builds(
        SprawlLimits,
        least_roles=st.integers(1, 1000),
        times_peers=st.integers(100, 10_000).map(lambda number: number / 100),
    ),
    signing=st.builds(Signing, _several(), _several()),
    rules=st.lists(
        st.builds(
            RuleSetting, st.sampled_from(sorted(RULES)), st.just(False), st.sampled_from([None, "low"])
        ),
        unique_by=lambda setting: setting.name,
    ).map(lambda rules: tuple(sorted(rules, key=lambda setting: setting.name))),
)


@given(_POLICIES)
def test_a_policy_that_is_written_is_read_as_the_same(policy: Policy) -> None:
    read = parse_policy(policy_text(policy), "x")
    assert read == policy
    assert read.version == policy.version


def _numbers(schema: dict[str, Any]) -> dict[str, dict[str, Any]]:
    properties = schema["properties"]["sprawl"]["properties"]
    return {name: described for name, described in properties.items() if "maximum" in described}


@pytest.mark.parametrize("name", sorted(_numbers(json_schema())))
def test_the_schemas_bounds_are_those_that_are_checked(name: str) -> None:
    described = _numbers(json_schema())[name]
    least, most = described["minimum"], described["maximum"]
    for number, fits in ((least, True), (most, True), (least - 1, False), (most + 1, False)):
        text = f"version: 1\nsprawl: {{{name}: {number}}}"
        if fits:
            assert getattr(parse_policy(text, "").sprawl, name) == number
        else:
            assert len(problems(text)) == 1


def test_the_schemas_defaults_are_the_built_in_policys() -> None:
    schema = json_schema()
    described: Any = schema["properties"]
    assert described["sprawl"]["properties"]["least_roles"]["default"] == Policy().sprawl.least_roles
    assert tuple(described["privileged_roles"]["default"]) == Policy().privileged_roles
    assert set(described["rules"]["properties"]) == set(RULES)


def test_a_file_can_set_every_parameter_of_a_policy() -> None:
    described: Any = json_schema()["properties"]
    assert set(described) == {"version", *(field.name for field in fields(Policy))}
    for name, kind in (("sprawl", SprawlLimits), ("signing", Signing)):
        assert set(described[name]["properties"]) == {field.name for field in fields(kind)}
    assert set(described["separations"]["items"]["properties"]) == {f.name for f in fields(Separation)}


def test_an_exception_has_an_owner_a_reason_and_a_last_day() -> None:
    whole = "{rule: self_grant, entity: ci-*, owner: carol, reason: no team yet, until: 2027-01-31}"
    [exemption] = parse_policy(f"version: 1\nexceptions: [{whole}]", "p.yaml").exceptions
    assert (exemption.rule, exemption.cause, exemption.until) == ("self_grant", "*", "2027-01-31")
    for field in ("owner: carol, ", "reason: no team yet, ", ", until: 2027-01-31"):
        [said] = problems(f"version: 1\nexceptions: [{whole.replace(field, '')}]")
        assert said.startswith("2: ")
        assert field.strip(", ").partition(":")[0] in said
    for day in ("2027-02-30", "soon", "9999-12-31", "31.01.2027"):
        [said] = problems(f"version: 1\nexceptions: [{whole.replace('2027-01-31', day)}]")
        assert "exceptions[0].until" in said
