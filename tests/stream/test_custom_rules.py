"""Custom rules: what `policy check` says of them, what they find, and what becomes of one that fails."""

from threading import Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from world import NOON, FixedRegistry, World, event, key

from keytrail.schemas import avro, wire
from keytrail.schemas.topics import SIGNALS
from keytrail.stream.custom.expression import MOST_CHARACTERS, ExpressionError, compiled
from keytrail.stream.custom.facts import MOST_ITEMS, SAMPLES
from keytrail.stream.findings.signal_reading import SignalReader
from keytrail.stream.policies.file import parse_policy, policy_text
from keytrail.stream.policies.policy import Policy
from keytrail.stream.policies.problems import PolicyError
from keytrail.stream.reading.source import Record
from keytrail.stream.worker.at_hand import Slot

NIGHT = """
custom_rules:
  - name: custom_contractor_grant
    when: event.action == "grant" && event.subject.startsWith("ext-") && event.ticket == ""
    severity: high
    entity: actor
    cause: "{event.role}"
    summary: "{event.actor_id} gave {event.subject} the role {event.role} without a ticket."
    remedy: Ask {event.actor_id} for the ticket.
    actions: [grant]
"""


def policy(text: str) -> Policy:
    return parse_policy(f"version: 1{text}", "p.yaml")


def rule(when: str, **more: str) -> Policy:
    lines = {"name": "custom_x", "when": f"'{when}'", "summary": "It happened.", **more}
    return policy("\ncustom_rules:\n  - " + "\n    ".join(f"{name}: {text}" for name, text in lines.items()))


def test_a_rule_finds_what_it_says_and_tells_it_in_its_words() -> None:
    world = World(policy=policy(NIGHT))
    grant = {"action": "grant", "role": "reader", "subject": "ext-1", "actor_id": "carol", "reason": "r"}
    world.send(
        event(**grant),
        event(**grant),
        event(**{**grant, "ticket": "T-1"}),
        event(**{**grant, "subject": "alice"}),
    )
    found = world.current()["custom_contractor_grant", "carol", "reader"]
    assert (found.severity, found.count, found.status) == ("high", 2, "open")
    assert found.summary == "carol gave ext-1 the role reader without a ticket."
    assert found.remedy == "Ask carol for the ticket."
    assert found.policy_version == world.policies.latest.version


def test_its_signals_are_read_from_the_topic() -> None:
    world = World(policy=policy(NIGHT))
    [output] = world.send(event(action="grant", role="reader", subject="ext-1", actor_id="carol", reason="r"))
    [signal] = [signal for signal in output.signals if signal.rule == "custom_contractor_grant"]
    registry, text = FixedRegistry(), avro.schema_text("signal")
    datum = avro.encoder(avro.parse(text))(signal)
    value = wire.frame(registry.register(SIGNALS, text)) + datum
    reader = SignalReader(registry, lambda: NOON, Slot())  # type: ignore[arg-type]
    found, dead = reader.read(0, [Record(0, value, b"carol")])
    assert ([one.signal for one in found], dead) == ([signal], [])


def test_a_rule_over_the_key_is_judged_anew_when_the_key_is_known() -> None:
    world = World(policy=rule('key.kind == "service" && event.actor_type == "human"', entity="key"))
    world.send(event(key_id="pk_1"))
    assert ("custom_x", "pk_1", "") not in world.open_findings()
    world.learn(key(kind="service"))
    assert ("custom_x", "pk_1", "") in world.open_findings()
    world.learn(key(kind="human", version=2))
    assert ("custom_x", "pk_1", "") not in world.open_findings()


def test_a_rule_over_access_sees_what_the_subject_holds_with_the_event() -> None:
    world = World(policy=rule('"auditor" in access.roles && "iam:PassRole" in access.permissions'))
    world.send(event(action="grant", role="auditor"), event())
    assert world.rules() <= {"missing_reason"}
    world.send(event(action="grant", role="ops", permissions=["iam:PassRole"]))
    assert ("custom_x", "alice", "") in world.open_findings()


@pytest.mark.parametrize(
    ("when", "failure"),
    [
        ('event.permissions.exists(p, p == "x")', "TooLargeError"),
        ("1 / event.sequence == 1", "ZeroDivisionError"),
    ],
)
def test_a_rule_that_fails_is_a_finding_and_the_event_is_stored(when: str, failure: str) -> None:
    world = World(policy=rule(when))
    [output] = world.send(event(permissions=["p"] * (MOST_ITEMS + 1)))
    assert len(output.enriched) == 1
    assert ("rule_failure", "custom_x", failure) in world.open_findings()


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ("event.action ==", "is no CEL: 1:16"),
        ("event.rol == ''x''", "names event.rol, which is no field; there are: event_id, "),
        ("thing.x", "has the name thing; ask about event, key and access"),
        ("size(event) > 1", "names event without a field"),
        ("event.action", "gives str and not true or false"),
        ("event.action + 1 == 2", "cannot be asked: Unsupported operation: string + int"),
        ("event.permissions > 1", "cannot be asked"),
        ("event.role.lowerAscii() == ''x''", "calls lowerAscii, which is not there"),
        ("event.permissions.all(a, event.permissions.all(b, a == b))", "walks over more than one list"),
        ("event.role.matches(event.resource)", "has a pattern that is not written out"),
        ('event.role.matches("a{9}")', "has a pattern with counts in braces"),
        ("[1].exists(event, event == 1)", "has the name event"),
        ("true || " * 200 + "true", "has 1604 characters; write at most 1000."),
        ("(" * 400 + "true" + ")" * 400, "is no CEL"),
    ],
)
def test_check_says_what_is_wrong_with_a_condition_and_where(when: str, said: str) -> None:
    with pytest.raises(PolicyError) as refused:
        rule(when)
    [problem] = refused.value.problems
    assert problem.line == 4
    if len(when) <= 1_000:
        assert problem.text.startswith(f"custom_rules[0].when {said}")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": "self_grant"}, "custom_rules[0].name is"),
        ({"name": "custom_X"}, "custom_rules[0].name is"),
        ({"summary": '"{event.nope}"'}, "custom_rules[0].summary names event.nope, which is no field"),
        ({"cause": '"{key}"'}, "custom_rules[0].cause has a brace that is no field's"),
        ({"entity": "team"}, "custom_rules[0].entity is"),
        ({"severity": "bad"}, "custom_rules[0].severity is"),
    ],
)
def test_check_says_what_is_wrong_with_the_rest(fields: dict[str, str], said: str) -> None:
    with pytest.raises(PolicyError) as refused:
        rule("true", **fields)
    assert refused.value.problems[0].text.startswith(said)


def test_a_name_stands_once_and_exceptions_may_name_it() -> None:
    with pytest.raises(PolicyError, match='is "custom_contractor_grant" once more'):
        policy(NIGHT + NIGHT.replace("\ncustom_rules:\n", ""))
    excepted = (
        "exceptions: [{rule: custom_contractor_grant, entity: '*', owner: o, reason: r, until: 2099-01-01}]"
    )
    world = World(policy=policy(NIGHT + excepted))
    world.send(event(action="grant", role="reader", subject="ext-1", actor_id="carol"))
    assert world.current()["custom_contractor_grant", "carol", "reader"].status == "suppressed"


def test_it_is_written_as_it_was_read() -> None:
    assert parse_policy(policy_text(policy(NIGHT)), "again") == policy(NIGHT)


def _field() -> Any:
    return st.sampled_from([f"{source}.{name}" for source, names in SAMPLES.items() for name in names])


@given(
    st.text(max_size=60) | st.lists(_field() | st.sampled_from('==&&||!()"x"+.in'), max_size=8).map(" ".join)
)
def test_any_text_is_an_expression_or_is_refused(text: str) -> None:
    try:
        found = compiled(text).holds((event(), World().directory.at(event()), None))
    except (ExpressionError, KeyError, IndexError, ZeroDivisionError):
        return
    except (RuntimeError, TypeError, ValueError):
        return  # at run time it is a rule that failed
    assert found in (True, False)


@pytest.mark.parametrize("mark", ["(", "[", "!", "-", "{1:"])
def test_deep_nesting_is_refused_and_breaks_nothing_in_any_thread(mark: str) -> None:
    """The library's parser is recursive: the deepest nesting that may be written fits a thread's stack."""
    refused: list[BaseException] = []

    def check() -> None:
        try:
            compiled(mark * (MOST_CHARACTERS // len(mark)))
        except ExpressionError as error:
            refused.append(error)

    thread = Thread(target=check)
    thread.start()
    thread.join()
    assert len(refused) == 1


def test_the_fields_are_those_that_the_page_names() -> None:
    world = World([key()])
    about = (event(key_id="pk_1", expires_at=NOON), world.directory.at(event(key_id="pk_1")), None)
    assert compiled(f'key.status == "active" && event.expires_at == {NOON} && event.role == ""').holds(about)
