"""The life of a key against a running pipeline: discovered, adopted, signed with, revoked too late."""

import json

import pytest
from running import Pipeline
from waiting import wait_until
from world import event

from keytrail.producers import AuditTrail
from keytrail.producers.clock import system_clock
from keytrail.producers.publisher import EventPublisher
from keytrail.schemas.signature import SigningKey

WHY = ("--reason", "test", "--actor", "anna")
HOUR = 3_600_000_000


def state_of(pipeline: Pipeline, rule: str, entity: str) -> str:
    """open, resolved, or none where there is no such finding."""
    rows = pipeline.clickhouse.rows(
        "SELECT status FROM anomalies_current WHERE rule = {rule:String} AND entity = {entity:String}",
        params={"rule": rule, "entity": entity},
    )
    if not rows:
        return "none"
    return "resolved" if rows[0]["status"] == "resolved" else "open"


def wait_for_state(pipeline: Pipeline, rule: str, entity: str, state: str) -> None:
    wait_until(
        lambda: state_of(pipeline, rule, entity) == state,
        lambda: f"{rule} of {entity} is {state_of(pipeline, rule, entity)}, not {state}",
    )


def send(pipeline: Pipeline, *keys: str, at: int) -> None:
    publisher = EventPublisher(pipeline.settings)
    publisher.publish_all(
        event(key_id=key, occurred_at=at, recorded_at=at, subject=f"subject-{n}")
        for n, key in enumerate(keys * 8)
    )
    publisher.close(60)


def test_a_key_that_was_used_before_it_was_registered_is_discovered_and_adopted(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    first = system_clock() - HOUR
    send(pipeline, "legacy-deployer", at=first)
    wait_for_state(pipeline, "unknown_key", "legacy-deployer", "open")
    capsys.readouterr()
    wait_until(lambda: discovered(pipeline, capsys) == {"legacy-deployer": 8}, lambda: "not discovered")

    assert (
        pipeline.command("keys", "adopt", "legacy-deployer", "--owner", "sam", "--kind", "service", *WHY) == 0
    )
    wait_for_state(pipeline, "unknown_key", "legacy-deployer", "resolved")
    assert discovered(pipeline, capsys) == {}
    assert pipeline.command("keys", "show", "legacy-deployer", "--json") == 0
    shown = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert shown["issued_at"] < shown["changed_at"]
    assert pipeline.command("keys", "adopt", "nobody", "--owner", "sam", "--kind", "service", *WHY) == 1
    assert pipeline.command("status", "--check") == 0


def discovered(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> dict[str, int]:
    capsys.readouterr()
    assert pipeline.command("keys", "list", "--discovered", "--json") == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return {row["key_id"]: row["uses"] for row in rows}


def test_what_happened_after_a_revocation_that_came_later_is_flagged_when_it_comes(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    for key_id in ("late-1", "late-2"):
        assert (
            pipeline.command("keys", "issue", "--id", key_id, "--owner", "sam", "--kind", "service", *WHY)
            == 0
        )
    before = pipeline.rows()[0]
    # By the clock of their service these happen an hour from now: after the revocation.
    send(pipeline, "late-1", at=system_clock() + HOUR)
    send(pipeline, "late-2", at=system_clock() - 1_000)
    pipeline.wait_for_rows(before + 16)
    assert state_of(pipeline, "revoked_key", "late-1") == "none"
    for key_id in ("late-1", "late-2"):
        assert pipeline.command("keys", "revoke", key_id, *WHY) == 0
    wait_for_state(pipeline, "revoked_key", "late-1", "open")
    assert state_of(pipeline, "revoked_key", "late-2") == "none"


def test_signed_events_are_stored_as_verified_and_forged_ones_are_found(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert pipeline.command("keys", "issue", "--owner", "sam", "--kind", "service", "--secret", *WHY) == 0
    key_id, token = capsys.readouterr().out.splitlines()
    forged = SigningKey(key_id, "m1", 1, bytes(32)).token
    for service, secret in (("honest", token), ("forger", forged)):
        with AuditTrail(service, settings=pipeline.settings) as trail, trail.acting_as(secret, "sam"):
            trail.use("reader", resource="ledger")
    wait_for_state(pipeline, "invalid_signature", key_id, "open")
    wait_until(
        lambda: signatures(pipeline) == {"honest": "verified", "forger": "invalid"},
        lambda: str(signatures(pipeline)),
    )
    secret = token.split(".")[3].encode()
    assert not [log for log in pipeline.data_dir.rglob("*.log") if secret in log.read_bytes()]
    assert pipeline.command("status", "--check") == 0


def signatures(pipeline: Pipeline) -> dict[str, str]:
    rows = pipeline.clickhouse.rows(
        "SELECT service, any(signature) AS signature FROM events "
        "WHERE service IN ('honest', 'forger') GROUP BY service"
    )
    return {str(row["service"]): str(row["signature"]) for row in rows}


@pytest.mark.parametrize("name", ["it's a key", "back\\slash", "']; DROP TABLE events --"])
def test_a_chain_of_any_name_is_asked_for_by_value(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    send(pipeline, name, at=system_clock() - HOUR)

    def chain() -> list[str]:
        capsys.readouterr()
        assert pipeline.command("report", "chain", "--param", f"key_id={name}", "--json") == 0
        return [json.loads(line)["key_id"] for line in capsys.readouterr().out.splitlines()]

    wait_until(lambda: chain() == [name] * 8, lambda: str(chain()))


def test_a_rotated_keys_chain_holds_its_whole_lineage(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        pipeline.command("keys", "issue", "--id", "old-1", "--owner", "sam", "--kind", "service", *WHY) == 0
    )
    capsys.readouterr()
    assert pipeline.command("keys", "rotate", "old-1", "--overlap", "1h", *WHY) == 0
    new = capsys.readouterr().out.strip()
    send(pipeline, "old-1", new, at=system_clock() - 1_000)

    def chain() -> set[str]:
        capsys.readouterr()
        assert pipeline.command("report", "chain", "--param", f"key_id={new}", "--json") == 0
        return {json.loads(line)["key_id"] for line in capsys.readouterr().out.splitlines()}

    wait_until(lambda: chain() == {"old-1", new}, lambda: str(chain()))


def test_a_key_that_is_registered_for_somebody_who_had_left_is_an_orphan(pipeline: Pipeline) -> None:
    """The owner lies in another partition than the uses, and left when nobody knew of a key."""
    at = system_clock() - 72 * HOUR
    publisher = EventPublisher(pipeline.settings)
    publisher.publish(event(action="delete", actor_id="hr", subject="lea", occurred_at=at, recorded_at=at))
    publisher.close(60)
    send(pipeline, "lea-1", at=system_clock() - HOUR)
    wait_for_state(pipeline, "unknown_key", "lea-1", "open")
    sql = "SELECT 1 FROM events WHERE subject = 'lea'"
    wait_until(lambda: pipeline.clickhouse.rows(sql), "the departure")
    assert pipeline.command("keys", "issue", "--id", "lea-1", "--owner", "lea", "--kind", "human", *WHY) == 0
    wait_for_state(pipeline, "orphaned_key", "lea-1", "open")
