import asyncio
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from collecting import Collecting
from hypothesis import given
from hypothesis import strategies as st
from topic_reading import read_events

from keytrail.producers import AuditTrail
from keytrail.producers.acting import key_used
from keytrail.producers.statement import UNREADABLE
from keytrail.schemas import avro
from keytrail.schemas.records import Event
from keytrail.schemas.settings import Settings
from keytrail.schemas.signature import SIGNATURE_HEADER, Masters, Signature, SigningKey, fingerprint
from keytrail.schemas.wire import HEADER_LENGTH

MASTERS = Masters({"m1": bytes(range(32))})
SIGNING = MASTERS.issue("key-1", 2)
SECRET = SIGNING.token.split(".")[3]


class Recorded:
    def __init__(self, **options: Any) -> None:
        self.outlet = Collecting()
        self.trail = AuditTrail("billing", outlet=self.outlet, **options)

    def events(self) -> list[Event]:
        assert self.trail.close(60) == 0
        return self.outlet.events

    def event(self) -> Event:
        [event] = self.events()
        return event


def who(event: Event) -> tuple[str | None, str, str | None, str | None]:
    return event.key_id, event.actor_id, event.reason, event.ticket


def test_a_block_says_who_and_why_for_all_inside() -> None:
    recorded = Recorded()
    trail = recorded.trail
    with trail.acting_as("key-1", "anna", reason="on call", ticket="OPS-1", attributes={"team": "sre"}):
        trail.grant("bob", "admin", attributes={"more": "1"})
        with trail.acting_as("key-2", reason="cleaning"):
            trail.revoke("bob", "admin")
        with trail.acting_as(None, "carl", ticket=None):
            trail.login()
        trail.login(key="key-3", actor="dora", reason="asked")
    trail.login()

    events = recorded.events()
    assert [who(event) for event in events] == [
        ("key-1", "anna", "on call", "OPS-1"),
        ("key-2", "anna", "cleaning", "OPS-1"),
        (None, "carl", "on call", None),
        ("key-3", "dora", "asked", "OPS-1"),
        (None, "billing", None, None),
    ]
    assert [event.actor_type for event in events] == ["human"] * 4 + ["service"]
    assert events[0].attributes == {"team": "sre", "more": "1"}


def test_an_error_in_the_block_goes_its_way() -> None:
    recorded = Recorded()
    with pytest.raises(KeyError), recorded.trail.acting_as("key-1", "anna"):
        raise KeyError
    recorded.trail.login()
    assert recorded.event().key_id is None


def test_threads_are_given_it_by_carry() -> None:
    recorded = Recorded()
    trail = recorded.trail
    with trail.acting_as("key-1", "anna"), ThreadPoolExecutor(4) as pool:
        carried = trail.carry(trail.login)
        for future in [pool.submit(carried, reason="pool") for _ in range(20)]:
            future.result()
        plain = threading.Thread(target=trail.login)
        plain.start()
        plain.join()

    events = recorded.events()
    assert [who(e) for e in events[:20]] == [("key-1", "anna", "pool", None)] * 20
    assert who(events[20]) == (None, "billing", None, None)


def test_asyncio_tasks_have_their_own() -> None:
    recorded = Recorded()
    trail = recorded.trail

    async def act(name: str) -> None:
        with trail.acting_as(f"key-{name}", name):
            for _ in range(5):
                await asyncio.sleep(0)
                trail.login(reason=name)

    async def main() -> None:
        with trail.acting_as("outer", "outer"):
            await asyncio.gather(*(asyncio.create_task(act(str(number))) for number in range(10)))
            await asyncio.create_task(asyncio.to_thread(trail.login))

    asyncio.run(main())

    events = recorded.events()
    assert all((e.key_id, e.actor_id) == (f"key-{e.reason}", e.reason) for e in events[:50])
    assert who(events[50]) == ("outer", "outer", None, None)


def test_a_function_is_told_of_as_it_ended() -> None:
    recorded = Recorded()

    @recorded.trail.audited(
        "grant", subject=lambda user, _role: user, role=lambda _user, role: role, reason="sync"
    )
    def give(user: str, role: str) -> str:
        """Gives."""
        if role == "root":
            raise PermissionError("password=hunter2 is wrong")
        return user + role

    assert give("bob", "admin") == "bobadmin"
    assert (give.__name__, give.__doc__) == ("give", "Gives.")
    with recorded.trail.acting_as("key-1", "anna"), pytest.raises(PermissionError, match="hunter2"):
        give("bob", "root")

    done, failed = recorded.events()
    assert (done.action, done.subject, done.role, done.outcome, done.error) == (
        "grant",
        "bob",
        "admin",
        "success",
        None,
    )
    assert who(failed) == ("key-1", "anna", "sync", None)
    assert (failed.outcome, failed.error) == ("failure", "PermissionError: password=[redacted] is wrong")


def test_a_coroutine_is_told_of_when_it_has_ended() -> None:
    recorded = Recorded()

    @recorded.trail.audited("use", role="backup", resource=lambda name: f"db/{name}")
    async def back_up(name: str) -> int:
        await asyncio.sleep(0)
        assert f"db/{name}" not in [event.resource for event in list(recorded.outlet.events)]
        if name == "b":
            raise asyncio.CancelledError
        return 7

    async def main() -> None:
        assert await back_up("a") == 7
        with pytest.raises(asyncio.CancelledError):
            await back_up("b")

    asyncio.run(main())

    assert [(e.resource, e.outcome) for e in recorded.events()] == [
        ("db/a", "success"),
        ("db/b", "failure"),
    ]


def test_what_cannot_be_told_of_a_call_is_named_and_changes_nothing() -> None:
    recorded = Recorded()

    @recorded.trail.audited("use", subject=lambda user: user.no_such_thing, role=lambda: "none")
    def act(user: str) -> str:
        return user

    assert act("bob") == "bob"
    event = recorded.event()
    assert event.attributes == {UNREADABLE: "subject,role"}


def test_the_surroundings_are_asked_once_a_record_for_what_nobody_said() -> None:
    asked: list[int] = []

    def surroundings() -> dict[str, Any]:
        asked.append(1)
        if len(asked) == 4:
            raise RuntimeError
        return {"trace_id": "t", "span_id": "s", "key_id": "from-baggage"}

    recorded = Recorded(context_details=surroundings)
    trail = recorded.trail
    trail.login()
    with trail.acting_as("key-1", "anna", span_id="mine"):
        trail.login()
    trail.login(key=None)
    trail.login()

    assert [(e.key_id, e.trace_id, e.span_id) for e in recorded.events()] == [
        ("from-baggage", "t", "s"),
        ("key-1", "t", "mine"),
        (None, "t", "s"),
        (None, None, None),
    ]
    assert len(asked) == 4


def test_events_with_a_secret_are_signed_as_published(settings: Settings) -> None:
    long = "x" * 2_000_000
    with AuditTrail("billing", settings=settings) as trail:
        with trail.acting_as(SIGNING, "anna"):
            trail.grant("bob", "admin")
            trail.login(key="key-2")
            trail.login(key=SIGNING.token, reason="\ud800", after=long)
        with trail.acting_as(SIGNING.token, "anna"):
            trail.grant("bob", "admin")

    found = sorted(read_events(settings, trail.producer_id, 4), key=lambda each: each[1].sequence)

    digest = fingerprint(avro.schema_text("event"))
    signed = []
    for message, event in found:
        headers = dict(message.headers() or [])
        value = message.value() or b""
        assert SECRET.encode() not in value
        if SIGNATURE_HEADER not in headers:
            signed.append(False)
            continue
        signature = Signature.parse(headers[SIGNATURE_HEADER])
        assert signature is not None
        assert MASTERS.verify(str(event.key_id), signature, digest, value[HEADER_LENGTH:])
        signed.append(True)
    assert signed == [True, False, True, True]
    assert [event.key_id for _, event in found] == ["key-1", "key-2", "key-1", "key-1"]


def test_the_secret_shows_nowhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    recorded = Recorded(spool=tmp_path)
    trail = recorded.trail
    broken = SIGNING.token.replace("keytrail1.m1.", "keytrail1.M1.")
    for key in (SIGNING, SIGNING.token, f" {SIGNING.token}\n", broken):
        with trail.acting_as(key, SIGNING.token, reason=f"with {SIGNING.token}"):
            trail.grant(f"user {SIGNING.token}", SIGNING.token, attributes={SIGNING.token: SIGNING.token})
            trail.login(
                before={"a": [SIGNING.token]}, permissions=[SIGNING.token], correlation_id=SIGNING.token
            )
    events = recorded.events()

    assert len(events) == 8
    assert [event.key_id for event in events] == ["key-1"] * 6 + [None] * 2
    assert events[7].attributes[UNREADABLE] == "key"
    shown = repr((events, trail, trail.stats(), key_used(SIGNING), key_used(SIGNING.token), vars(trail)))
    assert SECRET not in shown
    assert SECRET not in caplog.text
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or SECRET.encode() not in file.read_bytes()


@given(st.text())
def test_a_keys_text_is_an_id_or_a_token_and_never_raises(text: str) -> None:
    assert key_used(text).key_id == text
    assert key_used(f"keytrail1.{text}").key_id is None
    assert key_used(SigningKey("k", "m1", 1, bytes(32)).token).signer == SigningKey("k", "m1", 1, bytes(32))
