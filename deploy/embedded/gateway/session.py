"""Sessions: a client's own connection, kept between its requests."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock

from keytrail.deploy.embedded.gateway.engine import Engine, EngineConnection
from keytrail.deploy.embedded.gateway.errors import EngineError, ErrorCode
from keytrail.deploy.embedded.gateway.request import QueryRequest, SessionRef

_MAX_IDLE = 256


@dataclass
class _Session:
    """`SET`, `USE` and temporary tables last; what a request brings along holds for that request only."""

    connection: EngineConnection
    busy: bool = True
    expires_at: float = 0
    borrowed: tuple[str, Mapping[str, str]] = ("", {})
    before: tuple[str, Mapping[str, str | None]] = field(default_factory=lambda: ("", {}))

    def borrow(self, database: str, settings: Mapping[str, str]) -> None:
        """Puts a request's own database and settings in force, unless they are already."""
        if (database, settings) == self.borrowed:
            return
        self.restore()
        own_database = self.connection.text("SELECT currentDatabase()")[0][0] if database else ""
        own: dict[str, str | None] = dict.fromkeys(settings)
        if settings:
            changed = self.connection.text("SELECT name, value FROM system.settings WHERE changed")
            own |= {name: value for name, value in changed if name in own}
        self.connection.set(settings)
        self.before, self.borrowed = ("", own), ("", settings)
        if database:
            self.connection.use(database)
            self.before, self.borrowed = (own_database, own), (database, settings)

    def restore(self) -> None:
        database, settings = self.before
        self.connection.set(settings)
        if database:
            self.connection.use(database)
        self.borrowed, self.before = ("", {}), ("", {})


class Sessions:
    """Hands out connections, a client's own or a fresh one; usable from any thread.

    A session that is not used for its timeout is closed at the next call, and so is the one that lay
    idle longest when there are more than 256.
    """

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.monotonic) -> None:
        self._engine = engine
        self._clock = clock
        self._lock = Lock()
        self._known: dict[str, _Session] = {}

    @contextmanager
    def connection(self, request: QueryRequest, *, changes_session: bool) -> Iterator[EngineConnection]:
        """A connection with the request's database and settings in force, for one thread.

        Raises `EngineError` where the session is in use by another request or must exist and does not.
        """
        if request.session is None or "readonly" in request.settings:
            with self._engine.connect() as fresh:
                if request.database:
                    fresh.use(request.database)
                fresh.set(request.settings)
                yield fresh
            return
        session = self._take(request.session)
        try:
            if changes_session:
                session.restore()
            else:
                session.borrow(request.database, request.settings)
            yield session.connection
        finally:
            self._give_back(session, request.session)

    def close(self) -> None:
        """Closes every session; none may be in use."""
        with self._lock:
            for session in self._known.values():
                session.connection.close()
            self._known.clear()

    def _take(self, ref: SessionRef) -> _Session:
        with self._lock:
            self._close_idle()
            session = self._known.get(ref.session_id)
            if session is None:
                if ref.must_exist:
                    raise EngineError.of(ErrorCode.SESSION_NOT_FOUND, "Session not found.")
                session = self._known[ref.session_id] = _Session(self._engine.connect())
            elif session.busy:
                raise EngineError.of(
                    ErrorCode.SESSION_IS_LOCKED, "The session is locked by a concurrent request."
                )
            session.busy = True
            return session

    def _give_back(self, session: _Session, ref: SessionRef) -> None:
        with self._lock:
            session.busy = False
            session.expires_at = self._clock() + ref.timeout_s

    def _close_idle(self) -> None:
        idle = sorted((session.expires_at, name) for name, session in self._known.items() if not session.busy)
        spare = max(0, len(idle) - _MAX_IDLE)
        now = self._clock()
        for index, (expires_at, name) in enumerate(idle):
            if index < spare or expires_at <= now:
                self._known.pop(name).connection.close()
