"""`AuditTrail`: how a service tells keytrail what happened."""

import atexit
import threading
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Self, Unpack

from keytrail.producers.clock import Clock, system_clock
from keytrail.producers.details import Details, json_text, moment, optional_text, text, text_map, texts
from keytrail.producers.ids import UuidV7
from keytrail.producers.outbox import Outbox, Outlet
from keytrail.producers.publisher import EventPublisher
from keytrail.schemas.errors import UsageError
from keytrail.schemas.records import Event
from keytrail.schemas.settings import Settings, load_settings

UNREADABLE = "keytrail.unreadable"
_NEEDS = ("kafka", "registry")


class AuditTrail:
    """One service's events, sent in the background.

    The methods that record return at once, may be called from any thread, and never raise:
    where an event cannot be kept it is counted in `lost` and logged, and since each event
    takes the next number of this run, the hole is seen downstream.  Values of a wrong type are
    kept as text; a time that is none is left out and named in the attribute
    `keytrail.unreadable`.

    `settings` are looked up where left out (Kafka and the registry are needed); `capacity` is how
    many events may wait while Kafka or the registry is away.  The constructor raises `UsageError`
    for an empty service name and for settings that name no pipeline, and waits for nobody.

    Close the trail, or use it in a `with`; at interpreter exit it closes by itself.
    """

    def __init__(
        self,
        service: str,
        environment: str | None = None,
        *,
        settings: Settings | None = None,
        capacity: int = 10_000,
        clock: Clock = system_clock,
        new_id: Callable[[], str] | None = None,
        outlet: Outlet | None = None,
    ) -> None:
        if not service or capacity < 1:
            raise UsageError("An audit trail needs a service name, and room for one event or more.")
        self._service = service
        self._environment = environment
        self._clock = clock
        self._new_id = new_id or UuidV7()
        self._producer_id = f"{service}:{self._new_id()}"
        self._outbox = Outbox(
            outlet or EventPublisher(settings or load_settings(needs=_NEEDS), client_id=service),
            capacity,
            service,
        )
        # Reentrant, since a logging handler may record too.
        self._numbering = threading.RLock()
        self._sequence = 0
        atexit.register(self.close)

    @property
    def producer_id(self) -> str:
        """This run's id, as its events carry it."""
        return self._producer_id

    @property
    def lost(self) -> int:
        """How many events of this run will not arrive, as far as is known by now."""
        return self._outbox.lost

    def record(
        self,
        action: str,
        *,
        key: str | None,
        actor: str,
        subject: str | None = None,
        role: str | None = None,
        **details: Unpack[Details],
    ) -> None:
        """Record one action of any name.

        `key` is the id of the provisioning key it was done with, None where it was done without
        one; `subject` is whose access it is about, None for the actor's own.
        """
        refusal: str | None
        try:
            event = self._event(action, key, actor, subject, role, details)
        except Exception as error:  # noqa: BLE001  # nothing may reach the service that calls
            event, refusal = None, f"one could not be built ({type(error).__name__})"
        with self._numbering:
            self._sequence += 1
            if event is not None:
                refusal = self._outbox.put(event(sequence=self._sequence))
        if refusal is not None:
            self._outbox.lose(1, refusal)

    def grant(self, subject: str, role: str, *, key: str | None, actor: str, **more: Unpack[Details]) -> None:
        """`subject` was given `role`."""
        self.record("grant", key=key, actor=actor, subject=subject, role=role, **more)

    def revoke(
        self, subject: str, role: str, *, key: str | None, actor: str, **more: Unpack[Details]
    ) -> None:
        """`role` was taken from `subject`."""
        self.record("revoke", key=key, actor=actor, subject=subject, role=role, **more)

    def approve(
        self, subject: str, role: str, *, key: str | None, actor: str, **more: Unpack[Details]
    ) -> None:
        """The actor agreed that `subject` gets `role`."""
        self.record("approve", key=key, actor=actor, subject=subject, role=role, **more)

    def deny(self, subject: str, role: str, *, key: str | None, actor: str, **more: Unpack[Details]) -> None:
        """The actor refused `role` to `subject`."""
        self.record("deny", key=key, actor=actor, subject=subject, role=role, **more)

    def use(self, role: str | None, *, key: str | None, actor: str, **more: Unpack[Details]) -> None:
        """The actor did something privileged to `resource`, by virtue of `role` where that is known."""
        self.record("use", key=key, actor=actor, role=role, **more)

    def login(self, *, key: str | None, actor: str, **more: Unpack[Details]) -> None:
        """The actor logged in."""
        self.record("login", key=key, actor=actor, **more)

    def create(self, subject: str, *, key: str | None, actor: str, **more: Unpack[Details]) -> None:
        """The account, role or group `subject` came to be."""
        self.record("create", key=key, actor=actor, subject=subject, **more)

    def update(self, subject: str, *, key: str | None, actor: str, **more: Unpack[Details]) -> None:
        """The account, role or group `subject` was changed, from `before` to `after`."""
        self.record("update", key=key, actor=actor, subject=subject, **more)

    def delete(self, subject: str, *, key: str | None, actor: str, **more: Unpack[Details]) -> None:
        """The account, role or group `subject` is gone."""
        self.record("delete", key=key, actor=actor, subject=subject, **more)

    def update_trust(self, subject: str, *, key: str | None, actor: str, **more: Unpack[Details]) -> None:
        """It was changed who may take on the role `subject`."""
        self.record("update_trust", key=key, actor=actor, subject=subject, **more)

    def issue_key(self, subject: str, *, key: str | None, actor: str, **more: Unpack[Details]) -> None:
        """`subject` was given a credential; `resource` says of what sort."""
        self.record("issue_key", key=key, actor=actor, subject=subject, **more)

    def rotate_key(self, subject: str, *, key: str | None, actor: str, **more: Unpack[Details]) -> None:
        """A credential of `subject` was replaced by a new one."""
        self.record("rotate_key", key=key, actor=actor, subject=subject, **more)

    def suspend_key(self, subject: str, *, key: str | None, actor: str, **more: Unpack[Details]) -> None:
        """A credential of `subject` was switched off for a time."""
        self.record("suspend_key", key=key, actor=actor, subject=subject, **more)

    def revoke_key(self, subject: str, *, key: str | None, actor: str, **more: Unpack[Details]) -> None:
        """A credential of `subject` was ended."""
        self.record("revoke_key", key=key, actor=actor, subject=subject, **more)

    def close(self, deadline_s: float = 5.0) -> int:
        """Send what waits, for at most `deadline_s`; how many events were left undelivered.

        What is recorded afterwards is lost.  Closing twice does no harm.
        """
        atexit.unregister(self.close)
        return self._outbox.close(deadline_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _event(
        self, action: str, key: str | None, actor: str, subject: str | None, role: str | None, given: Details
    ) -> partial[Event]:
        """All of an event but its sequence, copied from what the caller may go on changing."""
        now = self._clock()
        occurred_at = moment(given.get("occurred_at"))
        expires_at = moment(given.get("expires_at"))
        attributes = text_map(given.get("attributes"))
        unreadable = [
            name
            for name, value, read in (
                ("occurred_at", given.get("occurred_at"), occurred_at),
                ("expires_at", given.get("expires_at"), expires_at),
            )
            if value is not None and read is None
        ]
        if unreadable:
            attributes[UNREADABLE] = ",".join(unreadable)
        return partial(
            Event,
            event_id=self._new_id(),
            occurred_at=now if occurred_at is None else occurred_at,
            recorded_at=now,
            service=self._service,
            environment=self._environment,
            actor_id=text(actor),
            actor_type=text(given.get("actor_type", "human")),
            key_id=optional_text(key),
            key_alias=optional_text(given.get("key_alias")),
            action=text(action),
            subject=optional_text(subject),
            role=optional_text(role),
            permissions=texts(given.get("permissions")),
            resource=optional_text(given.get("resource")),
            reason=optional_text(given.get("reason")),
            ticket=optional_text(given.get("ticket")),
            approved_by=optional_text(given.get("approved_by")),
            expires_at=expires_at,
            outcome=text(given.get("outcome", "success")),
            error=optional_text(given.get("error")),
            source_ip=optional_text(given.get("source_ip")),
            user_agent=optional_text(given.get("user_agent")),
            trace_id=optional_text(given.get("trace_id")),
            span_id=optional_text(given.get("span_id")),
            correlation_id=optional_text(given.get("correlation_id")),
            before=json_text(given.get("before")),
            after=json_text(given.get("after")),
            attributes=attributes,
            producer_id=self._producer_id,
        )
