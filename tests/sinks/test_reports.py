"""Reports say what is in the tables, each query runs as it is shown, and no value breaks a form."""

import json
import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest
from own_tables import grant, insert, moment, own_tables

from keytrail.cli.main import main
from keytrail.schemas.settings import Settings
from keytrail.sinks.clickhouse.http import ClickHouse, Row
from keytrail.sinks.reports import REPORTS
from keytrail.sinks.reports.report import Answer
from keytrail.sinks.reports.terms import Separation, Terms, expression

HOSTILE = "<script>alert('x')</script>\\{since:String} =1\x1b[2J"
TERMS = Terms(
    "2026-02-01 00:00:00",
    "2026-03-01 00:00:00",
    ("*admin*", "root"),
    (Separation("payments", ("pay-make*",), ("pay-check*",)),),
)
PACKS = {
    "soc2": ["CC6.1", "CC6.2", "CC6.3", "CC7.2"],
    "iso27001": ["A.5.15", "A.5.16", "A.5.17", "A.5.18", "A.8.15"],
    "gdpr": ["Art. 30", "Art. 32"],
    "pci_dss": ["7", "8", "10"],
}


def day(number: int) -> int:
    """Hours from the first of January to noon of a day of February."""
    return (30 + number) * 24 + 12


def key(key_id: str, owner: str, **fields: object) -> dict[str, object]:
    issued = moment(datetime.now(UTC) - timedelta(days=100))
    return {
        "key_id": key_id,
        "version": 1,
        "owner": owner,
        "kind": "human",
        "status": "active",
        "team": "core",
        "issued_at": issued,
        "changed_at": "2026-02-05 00:00:00",
        **fields,
    }


@pytest.fixture(scope="module")
def company(settings: Settings) -> Iterator[tuple[Settings, ClickHouse]]:
    with own_tables(settings, "reports") as (own, clickhouse):
        insert(
            clickhouse,
            [
                grant("ann", "Prod-Admin", 0, attributes={"team": "core"}, key_owner="boss"),
                grant("ann", "pay-maker", 1, key_owner="boss"),
                grant("ann", "pay-checker", day(3), approved_by="boss"),
                grant("ann", "Prod-Admin", day(4), "use", actor_id="ann"),
                grant("ann", "", day(9), "certify", resource="Prod-Admin"),
                grant("ann", "", 0, "certify", resource="pay-checker"),  # of an older grant
                grant("bob", "reader", 0, attributes={"team": "desk"}),
                grant("bob", "", day(5), "delete"),
                grant("cat", "reader", day(6), actor_id="cat", key_id=""),
                grant("dan", "admin", day(7), outcome="denied"),
                grant("dan", "reader", 2),
                grant("eve", HOSTILE, 3, attributes={"team": HOSTILE}, reason=HOSTILE),
            ],
        )
        insert(
            clickhouse,
            [
                key("k1", "boss"),
                key("of-bob", "bob"),
                key("ended", "bob", expires_at="2026-02-02 00:00:00"),
                key("gone", "ann", status="revoked"),
            ],
            "keys",
        )
        yield own, clickhouse


def asked(clickhouse: ClickHouse, name: str, **given: str) -> Answer:
    return REPORTS[name].answer(clickhouse, given, TERMS)


def chosen(rows: Mapping[str, object] | Row, *names: str) -> tuple[object, ...]:
    return tuple(rows[name] for name in names)


def test_access_review(company: tuple[Settings, ClickHouse]) -> None:
    [section] = asked(company[1], "access_review", team="core").sections
    assert [chosen(row, "subject", "role", "key_owner", "certified_by") for row in section.rows] == [
        ("ann", "Prod-Admin", "boss", "boss"),
        ("ann", "pay-checker", "", ""),
        ("ann", "pay-maker", "boss", ""),
    ]
    assert [row["certified_at"] is None for row in section.rows] == [False, True, True]
    [section] = asked(company[1], "access_review", owner="boss").sections
    assert {row["role"] for row in section.rows} == {"Prod-Admin", "pay-maker"}


def test_joiner_mover_leaver(company: tuple[Settings, ClickHouse]) -> None:
    moves, left = asked(company[1], "joiner_mover_leaver").sections
    assert [chosen(row, "kind", "subject", "gained", "lost", "live_keys") for row in moves.rows] == [
        ("joiner", "cat", ["reader"], [], []),
        ("leaver", "bob", [], ["reader"], ["of-bob"]),
        ("mover", "ann", ["pay-checker"], [], []),
    ]
    assert [chosen(row, "owner", "key_id") for row in left.rows] == [("bob", "of-bob")]


def test_who_moved_is_what_access_as_of_says_at_both_ends(company: tuple[Settings, ClickHouse]) -> None:
    def held(at: datetime) -> dict[object, set[object]]:
        roles: dict[object, set[object]] = {}
        query = "SELECT subject, role FROM access_as_of(at = {at:String})"
        for row in company[1].rows(query, params={"at": moment(at)}):
            roles.setdefault(row["subject"], set()).add(row["role"])
        return roles

    chance, begin = random.Random(5), datetime(2026, 5, 1, tzinfo=UTC)
    insert(
        company[1],
        [
            grant(
                f"mover-{chance.randrange(60)}",
                "" if action == "delete" else f"role-{chance.randrange(4)}",
                0,
                action,
                occurred_at=moment(begin + timedelta(hours=chance.randrange(48))),
            )
            for action in chance.choices(["grant", "revoke", "delete"], [6, 3, 1], k=900)
        ],
    )
    since, until = begin + timedelta(hours=20), begin + timedelta(hours=30)
    before, after = held(since), held(until)
    terms = replace(TERMS, since=moment(since), until=moment(until))
    moves, _ = REPORTS["joiner_mover_leaver"].answer(company[1], {}, terms).sections
    nothing: set[object] = set()
    changed = {
        whose: (
            after.get(whose, nothing) - before.get(whose, nothing),
            before.get(whose, nothing) - after.get(whose, nothing),
        )
        for whose in before.keys() | after.keys()
        if before.get(whose, nothing) != after.get(whose, nothing)
    }
    assert len(changed) > 30
    assert {row["subject"]: (set(row["gained"]), set(row["lost"])) for row in moves.rows} == changed


def test_privileged_access(company: tuple[Settings, ClickHouse]) -> None:
    held, changes, refused = asked(company[1], "privileged_access").sections
    assert [chosen(row, "role", "subject") for row in held.rows] == [("Prod-Admin", "ann")]
    assert held.rows[0]["last_used"] == "2026-02-04 12:00:00.000000"
    assert changes.rows == []
    assert [chosen(row, "actor_id", "role", "times") for row in refused.rows] == [("boss", "admin", 1)]


def test_key_inventory(company: tuple[Settings, ClickHouse]) -> None:
    ages, keys = asked(company[1], "key_inventory", team="core").sections
    assert [chosen(row, "age", "human", "keys") for row in ages.rows] == [("91 to 180 days", 2, 2)]
    states = {row["key_id"]: chosen(row, "state", "days_old", "uses") for row in keys.rows}
    assert states["k1"][:2] == ("active", 100)
    assert states["ended"] == ("expired", 100, 0)
    assert states["gone"][0] == "revoked"


def test_unattributed(company: tuple[Settings, ClickHouse]) -> None:
    by_service, changes = asked(company[1], "unattributed").sections
    assert [list(row.values()) for row in by_service.rows] == [["iam", 1, 1, 0]]
    assert [chosen(row, "subject", "missing") for row in changes.rows] == [("cat", ["key"])]
    assert changes.result == "1 to look at"


def test_segregation_of_duties(company: tuple[Settings, ClickHouse]) -> None:
    together, self_approved, own = asked(company[1], "segregation_of_duties").sections
    assert [list(row.values()) for row in together.rows] == [
        ["payments", "ann", ["pay-maker"], ["pay-checker"], "2026-02-03 12:00:00.000000"]
    ]
    assert [row["role"] for row in self_approved.rows] == ["pay-checker"]
    assert [row["subject"] for row in own.rows] == ["cat"]


@pytest.mark.parametrize("pack", PACKS)
def test_an_evidence_pack_names_its_controls_and_what_each_query_found(
    company: tuple[Settings, ClickHouse], pack: str
) -> None:
    sections = asked(company[1], pack).sections
    assert list(dict.fromkeys(section.control for section in sections)) == PACKS[pack]
    assert all(section.requirement and section.result for section in sections)


@pytest.mark.parametrize("name", [name for name in REPORTS if name != "chain"])
def test_each_query_runs_as_it_is_shown(company: tuple[Settings, ClickHouse], name: str) -> None:
    for section in asked(company[1], name).sections:
        assert company[1].rows(section.query) == section.rows
        assert all(set(section.columns) <= row.keys() for row in section.rows)


def test_patterns_mean_what_they_mean_in_the_policy(company: tuple[Settings, ClickHouse]) -> None:
    def match(pattern: str, role: str) -> object:
        places = {"role": role, "pattern": expression([pattern])}
        return company[1].rows("SELECT match({role:String}, {pattern:String}) AS it", params=places)[0]["it"]

    fits = [("*Admin*", "an admin\nx"), ("a?c", "aBc"), ("*:*", "iam:x"), ("it's \\[x].", "IT'S \\[x].")]
    assert [match(*pair) for pair in fits] == [1] * len(fits)
    assert [match(*pair) for pair in (("a.c", "abc"), ("admin", "admins"), ("a_c", "abc"))] == [0] * 3
    assert company[1].rows("SELECT match('', {none:String}) AS it", params={"none": expression([])}) == [
        {"it": 0}
    ]


class Page(HTMLParser):
    """What a browser would see: elements with their attributes, and text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def here(company: tuple[Settings, ClickHouse], monkeypatch: pytest.MonkeyPatch) -> None:
    own = company[0]
    monkeypatch.setenv("KEYTRAIL_CLICKHOUSE_URL", own.clickhouse.url)
    monkeypatch.setenv("KEYTRAIL_CLICKHOUSE_DATABASE", own.database)


@pytest.mark.usefixtures("here")
def test_the_page_needs_nothing_from_elsewhere_and_escapes_every_value(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["report", "soc2", "--html", "--param", "since=2026-01-01"]) == 0
    text = capsys.readouterr().out
    page = Page(text)
    names = {name for name, _ in page.elements}
    assert {"svg", "rect", "table", "details"} <= names
    assert not names & {"script", "link", "img", "iframe", "object", "embed"}
    assert not [attrs for _, attrs in page.elements if attrs.keys() & {"src", "href", "onload", "srcset"}]
    assert not re.search(r"url\(|@import|https?://", text)
    assert "prefers-color-scheme: dark" in text
    assert "<script>alert('x')</script>" in page.text
    assert "\x1b" not in text
    assert [name for name, _ in page.elements].count("h2") == len(PACKS["soc2"])


@pytest.mark.usefixtures("here")
def test_roles_are_privileged_by_the_policy_in_force_or_by_a_file(
    company: tuple[Settings, ClickHouse],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    def held(*flags: str) -> set[object]:
        assert main(["report", "privileged_access", "--json", *flags]) == 0
        printed = capsys.readouterr()
        assert re.search(r"by policy [0-9a-f]{12}", printed.err)
        return {row["role"] for row in json.loads(printed.out.splitlines()[0])["rows"]}

    monkeypatch.setenv("KEYTRAIL_KAFKA_BOOTSTRAP", company[0].kafka.bootstrap)
    assert held() == {"Prod-Admin", HOSTILE}
    file = tmp_path / "policy.yaml"
    file.write_text('version: 1\nprivileged_roles: ["READ*"]\n')
    assert held("--policy", str(file)) == {"reader"}


@pytest.mark.usefixtures("here")
def test_forms(capsys: pytest.CaptureFixture[str]) -> None:
    period = ("--param", "since=2026-02-01", "--param", "until=2026-03-01")
    assert main(["report", "unattributed", "--json", *period]) == 0
    summary, changes = map(json.loads, capsys.readouterr().out.splitlines())
    assert (summary["question"], changes["result"]) == (
        "Changes in the period, by service",
        "1 to look at",
    )
    assert changes["rows"][0]["subject"] == "cat"
    assert main(["report", "access_review", "--json", "--param", "team=core"]) == 0
    assert {json.loads(line)["subject"] for line in capsys.readouterr().out.splitlines()} == {"ann"}
    assert main(["report", "unattributed", "--csv", *period]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == [
        '"Changes in the period, by service",1 row',
        "service,changes,without_key,without_reason",
        "iam,1,1,0",
        "",
    ]
    assert main(["report", "gdpr", *period]) == 0
    shown = capsys.readouterr().out
    assert "Art. 32 Privileged roles held: 2 rows" in shown
    assert "2026-02-01 00:00:00.000000 to 2026-03-01 00:00:00.000000 UTC." in shown
    assert "SELECT role, subject" in shown
    assert "\x1b" not in shown


@pytest.mark.usefixtures("here")
def test_more_rows_than_asked_for_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "access_review", "--param", "limit=2"]) == 0
    assert "the first 2; --param limit=N shows more" in capsys.readouterr().err


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("wrong", ["since=2026-03-01 until=2026-01-01", "since=never", "limit=0", "tea=core"])
def test_wrong_parameters_are_refused(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    flags = [flag for each in wrong.split() for flag in ("--param", each)]
    assert main(["report", "access_review", *flags]) == 2
    assert capsys.readouterr().err
