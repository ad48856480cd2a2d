"""What a policy sets for single rules: off, or of another severity."""

import io

import fastavro
from world import DAY, NOON, World, event, key

from keytrail.schemas import avro, wire
from keytrail.schemas.records import Event
from keytrail.stream.detections import privileged_grant
from keytrail.stream.detections.verdict import Verdict
from keytrail.stream.policies.policy import Policy, RuleSetting
from keytrail.stream.stages.event_stage import EventOutput
from keytrail.stream.stages.judging import Judge

_ENRICHED = avro.parse(avro.schema_text("enriched"))


def off(*rules: str) -> Policy:
    return Policy(rules=tuple(RuleSetting(rule, enabled=False) for rule in rules))


def findings_of(output: EventOutput) -> list[str]:
    """What the enriched events say was found."""
    found: list[str] = []
    for _, value in output.enriched:
        row = fastavro.schemaless_reader(io.BytesIO(value[wire.HEADER_LENGTH :]), _ENRICHED, None)
        assert isinstance(row, dict)
        found += row["findings"]
    return found


def grant(role: str, at: int = NOON, subject: str = "alice") -> Event:
    return event(
        action="grant", subject=subject, role=role, occurred_at=at, reason="asked", attributes={"team": "t"}
    )


def test_a_rule_that_is_off_is_neither_a_finding_nor_in_the_enriched_event() -> None:
    sent = event(key_id="AKIA1"), grant("admin")
    every = World()
    assert findings_of(every.send(*sent)[0]) == ["unknown_key", "privileged_grant"]
    world = World(policy=off("unknown_key"))
    assert findings_of(world.send(*sent)[0]) == ["privileged_grant"]
    assert world.rules() == {"privileged_grant"}


def test_a_rule_that_is_off_counts_for_nothing_when_its_key_changes() -> None:
    world = World([key()], policy=off("revoked_key"))
    world.send(event(key_id="pk_1"))
    world.learn(key(version=2, revoked_at=NOON - DAY))
    assert world.rules() == set()


def test_one_of_a_modules_rules_is_off_and_the_others_are_not() -> None:
    keys = [key("pk_1", revoked_at=NOON - DAY), key("pk_2", suspended_at=NOON - DAY)]
    world = World(keys, policy=off("revoked_key"))
    world.send(event(key_id="pk_1"), event(key_id="pk_2"))
    assert world.rules() == {"suspended_key"}


def test_a_set_severity_takes_the_place_of_the_rules_own() -> None:
    world = World(policy=Policy(rules=(RuleSetting("unknown_key", severity="low"),)))
    world.send(event(key_id="AKIA1"), grant("admin"))
    assert {a.rule: a.severity for a in world.current().values()} == {
        "unknown_key": "low",
        "privileged_grant": "critical",
    }


def test_a_set_severity_takes_the_place_of_a_verdicts_own() -> None:
    verdict = Verdict(privileged_grant.RULE, "subject", "alice", "", "", "", severity="medium")
    for policy, severity in (
        (Policy(), "medium"),
        (Policy(rules=(RuleSetting("privileged_grant", severity="high"),)), "high"),
        (Policy(rules=(RuleSetting("privileged_grant"),)), "medium"),
    ):
        judge = Judge(policy)
        [found] = judge._ask((lambda *_: [verdict],), event())
        assert found.severity == severity


def test_sprawl_has_its_set_severity_after_peers_were_compared() -> None:
    world = World(policy=Policy(rules=(RuleSetting("role_sprawl", severity="low"),)))
    world.send(*(grant(f"r{number}", NOON - DAY + number) for number in range(15)))
    [anomaly] = [a for a in world.current().values() if a.rule == "role_sprawl"]
    assert anomaly.severity == "low"


def test_sprawl_that_is_off_tells_teams_once_it_is_on_again() -> None:
    before = World(policy=off("role_sprawl"))
    before.send(*(grant(f"r{number}", NOON - DAY + number) for number in range(15)))
    assert before.rules() == set()
    after = World()
    for name, value in before.changelog:
        after.events.restore(name, value)
    after.send(grant("r15"))
    assert after.rules() == {"role_sprawl"}
    team = after.findings._teams.get("t")
    assert team is not None
    assert team.members_by_roles == {16: 1}


def test_a_rules_failure_can_be_off() -> None:
    def fails(*_: object) -> list[Verdict]:
        raise ValueError

    assert [v.rule.name for v in Judge(Policy())._ask((fails,), event())] == ["rule_failure"]
    assert list(Judge(off("rule_failure"))._ask((fails,), event())) == []


def test_what_is_set_for_rules_is_part_of_the_version() -> None:
    versions = {
        policy.version
        for policy in (
            Policy(),
            off("unknown_key"),
            off("missing_reason"),
            Policy(rules=(RuleSetting("unknown_key", severity="low"),)),
        )
    }
    assert len(versions) == 4
    assert hash(off("unknown_key")) == hash(off("unknown_key"))
