"""Middleware for web services: all that is recorded while a request is served says whose request it was.

The key is taken from the header `X-Keytrail-Key`, as an id or as a key's token, or by a function of the
user's own.  A request without a key, or with one that cannot be read, is served without a key.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, MutableMapping
from contextlib import AbstractContextManager, suppress
from contextvars import copy_context
from typing import Any, TypeVar, cast

from keytrail.producers.acting import UNSET, KeyLike, key_used
from keytrail.producers.details import Details
from keytrail.producers.ids import UuidV7
from keytrail.producers.trail import AuditTrail
from keytrail.schemas.signature import SigningKey

KEY_HEADER = "X-Keytrail-Key"
_CORRELATION_HEADERS = ("X-Correlation-ID", "X-Request-ID")
_MOST_CHARACTERS = 1_000

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
WsgiApp = Callable[[Environ, StartResponse], Iterable[bytes]]

_Found = TypeVar("_Found")


class _Audit:
    """`key`, `actor` and `details` are asked for each request, given the ASGI scope or the WSGI environ.

    Where one of them raises, nothing is known of what it was asked for.
    """

    def __init__(
        self,
        trail: AuditTrail,
        key: Callable[[Any], KeyLike] | None,
        actor: Callable[[Any], str | None] | None,
        details: Callable[[Any], Details] | None,
    ) -> None:
        self._trail = trail
        self._key = key
        self._actor = actor
        self._details = details
        self._new_id = UuidV7()

    def _acting(
        self, request: object, header: Callable[[str], str | None], source_ip: str | None
    ) -> AbstractContextManager[None]:
        correlation = next((found for name in _CORRELATION_HEADERS if (found := header(name))), None)
        details: Details = {
            "source_ip": source_ip,
            "user_agent": header("User-Agent"),
            "correlation_id": (correlation or self._new_id())[:_MOST_CHARACTERS],
        }
        more = _asked(self._details, request)
        if isinstance(more, Mapping):
            details.update(more)
        actor = _asked(self._actor, request)
        key = _readable(header(KEY_HEADER) if self._key is None else _asked(self._key, request))
        return self._trail.acting_as(key, UNSET if actor is None else actor, **details)


class AsgiAudit(_Audit):
    """Wraps an ASGI application; web sockets are covered as requests are."""

    def __init__(
        self,
        app: AsgiApp,
        trail: AuditTrail,
        *,
        key: Callable[[Scope], KeyLike] | None = None,
        actor: Callable[[Scope], str | None] | None = None,
        details: Callable[[Scope], Details] | None = None,
    ) -> None:
        super().__init__(trail, key, actor, details)
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("type") not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = {bytes(name).lower(): value for name, value in reversed(scope.get("headers") or ())}

        def header(name: str) -> str | None:
            value = headers.get(name.lower().encode())
            return None if value is None else bytes(value).decode("latin-1")

        client = scope.get("client")
        with self._acting(scope, header, str(client[0]) if client else None):
            await self._app(scope, receive, send)


class WsgiAudit(_Audit):
    """Wraps a WSGI application, until the server has taken the whole response."""

    def __init__(
        self,
        app: WsgiApp,
        trail: AuditTrail,
        *,
        key: Callable[[Environ], KeyLike] | None = None,
        actor: Callable[[Environ], str | None] | None = None,
        details: Callable[[Environ], Details] | None = None,
    ) -> None:
        super().__init__(trail, key, actor, details)
        self._app = app

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        def header(name: str) -> str | None:
            return cast(str | None, environ.get(f"HTTP_{name.upper().replace('-', '_')}"))

        # The server asks for the response piece by piece, between which other requests may be served here.
        context = copy_context()
        context.run(self._acting(environ, header, environ.get("REMOTE_ADDR")).__enter__)
        return _Response(context.run(self._app, environ, start_response), context.run)


class _Response:
    """An application's response, each piece of it made in the request's context."""

    def __init__(self, pieces: Iterable[bytes], run: Callable[..., Any]) -> None:
        self._pieces = pieces
        self._run = run
        self._iterator: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        self._iterator = self._run(iter, self._pieces)
        return self

    def __next__(self) -> bytes:
        if self._iterator is None:
            iter(self)
        return cast(bytes, self._run(next, self._iterator))

    def close(self) -> None:
        if (close := getattr(self._pieces, "close", None)) is not None:
            self._run(close)


def _asked(function: Callable[[Any], _Found] | None, request: object) -> _Found | None:
    if function is not None:
        with suppress(Exception):
            return function(request)
    return None


def _readable(key: object) -> str | SigningKey | None:
    """The key, if it could be one: a short text that can be shown, or what holds a secret."""
    if isinstance(key, str) and not (key.isprintable() and 0 < len(key) <= _MOST_CHARACTERS):
        return None
    used = key_used(key)
    return used.signer or used.key_id
