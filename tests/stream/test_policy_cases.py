"""Cases that test a policy: those of the page on policies, and what is wrong with a file of cases."""

import json
import re
from pathlib import Path

import pytest

from keytrail.cli.main import main
from keytrail.stream.policies.cases_file import read_cases
from keytrail.stream.policies.problems import PolicyError

PAGE = Path(__file__).parents[2] / "docs" / "policy.md"
EVENT = "{occurred_at: 2026-03-02T10:00:00Z, action: grant, actor_id: a, subject: a, role: r, ticket: T}"


@pytest.fixture
def pages(tmp_path: Path) -> tuple[str, str]:
    """The policy and the cases of the page, as files."""
    policy, cases = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "policy.yaml").write_text(policy)
    (tmp_path / "cases.yaml").write_text(cases)
    return str(tmp_path / "policy.yaml"), str(tmp_path / "cases.yaml")


def test_the_cases_of_the_page_pass(pages: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["policy", "test", *pages]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["ok", "ok", "ok"]


def test_they_fail_where_the_policy_is_another(
    pages: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.yaml"
    other.write_text("version: 1\nrules: {self_approval: {enabled: false}}\n")
    assert main(["policy", "test", str(other), pages[1]]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "FAILED  who approves is neither who acts nor who gains",
        "    not found: self_approval bob open",
        "ok  a burst with a revoked key is one finding",
        "FAILED  the approver of payments is spoken for",
        "    not found: toxic_combination carol@corp payments suppressed",
        "    not expected: toxic_combination carol@corp payments open",
    ]
    assert main(["policy", "test", str(other), pages[1], "--json"]) == 1
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["is_fine"] for row in rows] == [False, True, False]


@pytest.mark.parametrize(
    ("cases", "said"),
    [
        ("", "cases is missing; add it."),
        ("cases: []", "cases has 0 items; write 1 to 1000."),
        ("cases: [{name: x, events: []}]", "cases[0].events has 0 items; write 1 to 1000."),
        ("cases: [{name: x, events: [{action: use}]}]", "cases[0].events[0].occurred_at is missing; add it."),
        (
            "cases: [{name: x, events: [{action: use, occurred_at: 2026-03-02T10:00:00}]}]",
            "cases[0].events[0].occurred_at is 2026-03-02T10:00:00; write a time with its zone such as "
            "2027-01-31T09:00:00Z.",
        ),
        (f"cases: [{{name: x, evnts: [{EVENT}]}}]", "cases[0].evnts is no field; do you mean events?"),
    ],
)
def test_what_is_wrong_is_said(cases: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "cases.yaml"
    file.write_text(f"version: 1\n{cases}\n")
    with pytest.raises(PolicyError) as caught:
        read_cases(file)
    assert said in [problem.text for problem in caught.value.problems]


def test_custom_rules_are_tested_as_the_others_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy, cases = tmp_path / "policy.yaml", tmp_path / "cases.yaml"
    policy.write_text(
        "version: 1\ncustom_rules:\n"
        "- {name: custom_ext, when: event.subject.startsWith('ext-'), summary: Given., actions: [grant]}\n"
    )
    case = (
        "version: 1\ncases:\n- name: contractors\n  events:\n"
        "  - {occurred_at: 2026-03-02T10:00:00Z, action: grant, subject: ext-1, role: r, reason: x}\n"
        "  - {occurred_at: 2026-03-02T10:00:00Z, action: grant, subject: bob, role: r, reason: x}\n"
        "  - {occurred_at: 2026-03-02T10:00:00Z, action: use, subject: ext-2}\n"
    )
    cases.write_text(f"{case}  finds: [{{rule: custom_ext, entity: ext-1}}]\n")
    assert main(["policy", "test", str(policy), str(cases)]) == 0
    cases.write_text(case)
    assert main(["policy", "test", str(policy), str(cases)]) == 1
    assert "not expected: custom_ext ext-1 open" in capsys.readouterr().out


def test_the_same_event_may_happen_twice(tmp_path: Path) -> None:
    file = tmp_path / "cases.yaml"
    file.write_text(f"version: 1\ncases: [{{name: x, events: [{EVENT}, {EVENT}]}}]\n")
    [case] = read_cases(file)
    first, second = case.events
    assert first.event_id != second.event_id
    assert first.occurred_at == second.occurred_at
