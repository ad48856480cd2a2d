import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from collecting import Collecting
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from keytrail.producers import AuditTrail
from keytrail.producers.requests import AsgiAudit, WsgiAudit
from keytrail.schemas.records import Event
from keytrail.schemas.signature import Masters

SIGNING = Masters({"m1": bytes(32)}).issue("key-1", 1)
HEADERS = {
    "X-Keytrail-Key": SIGNING.token,
    "User-Agent": "test/1",
    "X-Request-ID": "request-1",
}
BAD_KEYS = ["", "keytrail1.broken", "x" * 2_000, "\xa0\x01"]


class Service:
    def __init__(self) -> None:
        self.outlet = Collecting()
        self.trail = AuditTrail("web", outlet=self.outlet)

    def events(self) -> list[Event]:
        assert self.trail.close(60) == 0
        return self.outlet.events

    def asgi(self, **options: Any) -> TestClient:
        async def plain(request: Request) -> PlainTextResponse:
            self.trail.login()
            return PlainTextResponse("done")

        async def streamed(request: Request) -> StreamingResponse:
            async def pieces() -> Any:
                for _ in range(2):
                    await asyncio.sleep(0)
                    self.trail.login()
                    yield b"piece"

            return StreamingResponse(pieces())

        def in_thread(request: Request) -> PlainTextResponse:
            self.trail.login()
            return PlainTextResponse("done")

        routes = [Route("/", plain), Route("/streamed", streamed), Route("/thread", in_thread)]
        return TestClient(AsgiAudit(Starlette(routes=routes), self.trail, **options))

    def wsgi(self, environ: dict[str, Any], **options: Any) -> list[bytes]:
        def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
            start_response("200 OK", [])
            self.trail.login()
            yield b"a"
            self.trail.login()
            yield b"b"

        response = WsgiAudit(app, self.trail, **options)(environ, lambda *_: None)
        pieces = list(response)
        response.close()  # type: ignore[attr-defined]
        return pieces


def about(event: Event) -> tuple[Any, ...]:
    return event.key_id, event.actor_id, event.user_agent, event.correlation_id


@pytest.mark.parametrize(("path", "count"), [("/", 1), ("/streamed", 2), ("/thread", 1)])
def test_what_an_asgi_application_records_says_whose_request_it_was(path: str, count: int) -> None:
    service = Service()
    assert service.asgi().get(path, headers=HEADERS).status_code == 200
    events = service.events()
    assert [about(event) for event in events] == [("key-1", "web", "test/1", "request-1")] * count
    assert events[0].source_ip == "testclient"


@pytest.mark.parametrize("key", BAD_KEYS)
def test_a_request_whose_key_is_none_is_served_without_one(key: str) -> None:
    service = Service()
    client = service.asgi()
    with service.trail.acting_as("outer", "outer"):
        assert client.get("/", headers=[(b"x-keytrail-key", key.encode("latin-1"))]).text == "done"
        assert client.get("/").text == "done"
        assert service.wsgi({"HTTP_X_KEYTRAIL_KEY": key}) == [b"a", b"b"]
    events = service.events()
    assert {event.key_id for event in events} == {None}
    assert len({event.correlation_id for event in events}) == 3


def test_the_users_own_functions_are_asked() -> None:
    service = Service()

    def fails(_request: Any) -> Any:
        raise RuntimeError

    client = service.asgi(
        key=lambda scope: f"key-of-{scope['path']}",
        actor=lambda _scope: "anna",
        details=lambda _scope: {"source_ip": "10.0.0.1", "reason": "web"},
    )
    client.get("/")
    service.asgi(key=fails, actor=fails, details=fails).get("/", headers=HEADERS)
    service.wsgi({}, key=lambda _environ: SIGNING, actor=lambda _environ: "bob")

    first, second, third, _ = service.events()
    assert (first.key_id, first.actor_id, first.source_ip, first.reason) == (
        "key-of-/",
        "anna",
        "10.0.0.1",
        "web",
    )
    assert (second.key_id, second.actor_id) == (None, "web")
    assert (third.key_id, third.actor_id) == ("key-1", "bob")


def test_what_a_wsgi_application_records_says_whose_request_it_was() -> None:
    service = Service()
    environ = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in HEADERS.items()}
    assert service.wsgi({**environ, "REMOTE_ADDR": "10.1.1.1"}) == [b"a", b"b"]
    service.trail.login()

    events = service.events()
    assert [about(event) for event in events[:2]] == [("key-1", "web", "test/1", "request-1")] * 2
    assert events[0].source_ip == "10.1.1.1"
    assert about(events[2]) == (None, "web", None, None)


def test_errors_of_the_application_go_their_way() -> None:
    service = Service()

    def failing(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        raise KeyError

    with pytest.raises(KeyError):
        WsgiAudit(failing, service.trail)({}, lambda *_: None)
    service.trail.close(0)


def test_other_scopes_pass_through() -> None:
    service = Service()
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    async def nothing(*_: Any) -> Any:
        return {}

    asyncio.run(AsgiAudit(app, service.trail)({"type": "lifespan"}, nothing, nothing))
    assert seen == ["lifespan"]
    service.trail.close(0)
