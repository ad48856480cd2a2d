"""`AuditTrail`: how a service tells keytrail what happened."""

import atexit
import os
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from contextvars import copy_context
from functools import wraps
from pathlib import Path
from types import TracebackType
from typing import Any, Final, ParamSpec, Self, TypeVar, Unpack

from keytrail.producers import acting
from keytrail.producers.acting import NO_KEY, UNSET, KeyLike, Unset, key_used
from keytrail.producers.actions import Actions
from keytrail.producers.audited import Part, said_of_call, telling
from keytrail.producers.clock import Clock, system_clock
from keytrail.producers.concealing import PLAIN_LIMIT_BYTES, Concealer
from keytrail.producers.courier import Courier, KafkaCourier, Outlet, OutletCourier
from keytrail.producers.datum import flat_encoder
from keytrail.producers.details import ContextDetails, Details, MoreDetails, text
from keytrail.producers.fitting import LIMIT_BYTES, fit
from keytrail.producers.form import Form
from keytrail.producers.ids import UuidV7
from keytrail.producers.losses import Loss
from keytrail.producers.outbox import Draft, Outbox
from keytrail.producers.redaction import Redact, Redaction, scrubbed
from keytrail.producers.spool import Spool
from keytrail.producers.statement import UNREADABLE, event_of, values_of, without_tokens
from keytrail.producers.stats import TrailStats
from keytrail.schemas import avro
from keytrail.schemas.errors import UsageError
from keytrail.schemas.settings import Settings, load_settings
from keytrail.schemas.signature import SigningKey, fingerprint

AUDIT_LOSS: Final = "audit_loss"
# What the keys of people are given at least, once the events are through.
_KEYS_S = 0.5
_NEEDS = ("kafka", "registry")
_LEAST_SPOOL_BYTES = 4 << 20
_ASSUMED = {"actor_type": "human", "outcome": "success"}
_TOKEN = b"keytrail1."

_Params = ParamSpec("_Params")
_Result = TypeVar("_Result")


class AuditTrail(Actions):
    """One service's events, sent in the background.

    The methods that record return at once, may be called from any thread, and never raise:
    where an event cannot be kept it is counted in `lost` and logged, and since each event
    takes the next number of this run, the hole is seen downstream.  Values of a wrong type are
    kept as text; a time that is none is left out and named in the attribute
    `keytrail.unreadable`.  What looks like a secret is kept out, and marked `[redacted]`.

    Where `key` and `actor` are left out, those of `acting_as` hold; else there is no key, and the
    service itself acts.  Events done with a `SigningKey`, or its token, are signed.

    `settings` are looked up where left out (Kafka and the registry are needed).  While Kafka or the
    registry is away, `capacity` events and `queue_bytes` may wait in memory; with `spool`, a folder,
    they wait there, up to `spool_bytes`, and what a killed process leaves in it is sent by the next
    one.  Then the oldest are dropped.  `redact` may hide more than is hidden anyway; `context_details`
    is asked once a record for what nobody said, such as the trace.  In privacy mode (`settings.privacy`)
    people are pseudonyms and what is theirs is sealed before anything is kept.  The constructor raises
    `UsageError` for an empty service name and for settings that name no pipeline, and waits for nobody.

    Close the trail, or use it in a `with`; at interpreter exit it closes by itself.  A forked child
    goes on with a run of its own.
    """

    def __init__(
        self,
        service: str,
        environment: str | None = None,
        *,
        settings: Settings | None = None,
        capacity: int = 10_000,
        queue_bytes: int = 16 << 20,
        spool: Path | None = None,
        spool_bytes: int = 1 << 30,
        redact: Redact | None = None,
        context_details: Callable[[], ContextDetails] | None = None,
        clock: Clock = system_clock,
        new_id: Callable[[], str] | None = None,
        outlet: Outlet | None = None,
    ) -> None:
        if not service or capacity < 1:
            raise UsageError("An audit trail needs a service name, and room for one event or more.")
        if spool is not None and spool_bytes < _LEAST_SPOOL_BYTES:
            raise UsageError("The spool is too small.", f"Give it {_LEAST_SPOOL_BYTES} bytes or more.")
        self._service = service
        self._environment = environment
        self._capacity = capacity
        self._queue_bytes = queue_bytes
        self._spool_folder = spool
        self._spool_bytes = spool_bytes
        self._redaction = Redaction(redact)
        self._context_details = context_details
        self._clock = clock
        self._given_id = new_id
        schema_text = avro.schema_text("event")
        self._schema = avro.parse(schema_text)
        self._encode = flat_encoder(self._schema)
        self._fingerprint = fingerprint(schema_text)
        self._connected: Callable[[], Courier]
        self._private: Settings | None = None
        if outlet is None:
            found = settings or load_settings(needs=_NEEDS)
            self._connected = lambda: KafkaCourier(found, service)
            self._private = found if found.privacy.on else None
        else:
            self._connected = lambda: OutletCourier(outlet)
        self._opening = threading.Lock()
        self._outbox: Outbox | None = self._opened()
        if spool is not None:
            self._outbox.start()
        _TRAILS.add(self)
        atexit.register(self.close)

    def _opened(self) -> Outbox:
        """Begins a run."""
        self._new_id = self._given_id or UuidV7()
        run = self._new_id()
        self._concealer = (
            None if self._private is None else Concealer.of(self._private, self._clock, self._spool_folder)
        )
        self._producer_id = f"{self._service}:{run}"
        self._constants: dict[str, object] = {
            **_ASSUMED,
            "service": self._service,
            "environment": self._environment,
            "producer_id": self._producer_id,
        }
        self._form = Form(self._schema, self._constants)
        spool = None
        if self._spool_folder is not None:
            spool = Spool(self._spool_folder, self._spool_bytes, run, self._producer_id)
        return Outbox(
            self._connected(),
            name=self._service,
            producer_id=self._producer_id,
            capacity=self._capacity,
            queue_bytes=self._queue_bytes,
            fingerprint=self._fingerprint,
            loss_draft=self._loss_draft,
            spool=spool,
        )

    def _current(self) -> Outbox:
        """The outbox; a forked child opens its own when it first needs it."""
        if (outbox := self._outbox) is None:
            with self._opening:
                if (outbox := self._outbox) is None:
                    self._outbox = outbox = self._opened()
        return outbox

    @property
    def producer_id(self) -> str:
        """This run's id, as its events carry it."""
        self._current()
        return self._producer_id

    @property
    def lost(self) -> int:
        """How many events of this run will not arrive, as far as is known by now."""
        return self._current().lost

    def stats(self) -> TrailStats:
        """What became of this run's events, as of now."""
        return self._current().stats(self._clock())

    def acting_as(
        self, key: KeyLike | Unset = UNSET, actor: str | Unset = UNSET, **details: Unpack[Details]
    ) -> AbstractContextManager[None]:
        """Within the block, who acts, with which key, and why; what is left out stays as it was around it.

        Nested blocks and calls may say otherwise.  asyncio tasks begun inside are covered; functions
        that run in other threads are where they go through `carry`.
        """
        return acting.acting(key, actor, details)

    def carry(self, function: Callable[_Params, _Result]) -> Callable[_Params, _Result]:
        """The function, to be called in another thread, as if it were called here and now."""
        context = copy_context()

        @wraps(function)
        def carried(*args: _Params.args, **kwargs: _Params.kwargs) -> _Result:
            # A copy, since two threads cannot be in one context at the same time.
            return context.copy().run(function, *args, **kwargs)

        return carried

    def audited(
        self,
        action: str,
        *,
        subject: Part = None,
        role: Part = None,
        resource: Part = None,
        key: KeyLike | Unset = UNSET,
        actor: str | Unset = UNSET,
        **details: Unpack[MoreDetails],
    ) -> Callable[[Callable[_Params, _Result]], Callable[_Params, _Result]]:
        """A decorator: each call of the function is recorded when it ends, as a success, or as a failure
        with what it raised.

        `subject`, `role` and `resource` may be functions of the call's arguments.  The function's result
        and exceptions are unchanged; coroutine functions are recorded when they end.
        """
        parts = {"subject": subject, "role": role, "resource": resource}

        def tell(args: tuple[Any, ...], kwargs: Mapping[str, Any], error: BaseException | None) -> None:
            said = said_of_call(parts, args, kwargs, error)
            self.record(action, key=key, actor=actor, **{**details, **said})

        return lambda function: telling(function, tell)

    def record(
        self,
        action: str,
        *,
        key: KeyLike | Unset = UNSET,
        actor: str | Unset = UNSET,
        subject: str | None = None,
        role: str | None = None,
        **details: Unpack[Details],
    ) -> None:
        """Record one action of any name.

        `key` is the provisioning key it was done with, None where it was done without
        one; `subject` is whose access it is about, None for the actor's own.
        """
        try:
            outbox = self._outbox or self._current()
        except Exception:  # noqa: BLE001  # nothing may reach the service that calls
            return
        try:
            draft = self._draft(action, key, actor, subject, role, details)
        except Exception as error:  # noqa: BLE001  # nor this
            outbox.put(None, f"one could not be built ({type(error).__name__})")
        else:
            outbox.put(draft)

    def close(self, deadline_s: float = 5.0) -> int:
        """Send what waits, for at most `deadline_s`; how many events were left undelivered.

        Those in the spool wait there for the service's next run, others are lost.  What is recorded
        afterwards is lost.  Closing twice does no harm.
        """
        atexit.unregister(self.close)
        outbox, concealer = self._outbox, self._concealer
        give_up_at = time.monotonic() + deadline_s
        left = 0 if outbox is None else outbox.close(deadline_s)
        if outbox is not None and concealer is not None:
            concealer.close(max(_KEYS_S, give_up_at - time.monotonic()))
        return left

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _draft(
        self,
        action: str,
        key: KeyLike | Unset,
        actor: str | Unset,
        subject: str | None,
        role: str | None,
        details: Mapping[str, object],
    ) -> Draft:
        """All of an event but its number, copied from what the caller may go on changing."""
        around = acting.current()
        used, who = NO_KEY, actor
        if key is not UNSET:
            used = key_used(key)
        elif around.key is not UNSET:
            used = around.key
        said = acting.merged(around.details, details)
        if who is UNSET:
            who = around.actor  # type: ignore[assignment]
        if self._context_details is not None:
            with suppress(Exception):  # a caller's function may raise anything
                found = dict[str, object](self._context_details())
                said, used, claimed = acting.with_context(found, said, used, may_set_key=key is UNSET)
                if who is UNSET and claimed is not None:
                    who = text(claimed)
        now = self._clock()
        values = values_of(said, self._redaction) if said else {}
        values["event_id"] = self._new_id()
        values["recorded_at"] = now
        if "occurred_at" not in values:
            values["occurred_at"] = now
        values["action"] = action if type(action) is str else text(action)
        if who is UNSET:
            # Nobody said who: the service does it by itself.
            values["actor_id"] = self._service
            values.setdefault("actor_type", "service")
        else:
            values["actor_id"] = who if type(who) is str else text(who)
        if subject is not None:
            values["subject"] = subject if type(subject) is str else text(subject)
        if role is not None:
            values["role"] = role if type(role) is str else text(role)
        if used.key_id is not None:
            values["key_id"] = used.key_id
        elif not used.readable:
            attributes = values.setdefault("attributes", {})
            attributes[UNREADABLE] = ",".join(filter(None, (attributes.get(UNREADABLE), "key")))
        if self._concealer is not None:
            values = self._concealed(self._concealer, values)
        return self._sealable(values, used.signer)

    def _concealed(self, concealer: Concealer, values: dict[str, Any]) -> dict[str, Any]:
        """The values in privacy mode; what is to be repaired, hidden or cut is so before."""
        try:
            head = self._form.fill(values)
        except UnicodeEncodeError:
            head = b""
        if not head or len(head) > PLAIN_LIMIT_BYTES or _TOKEN in head:
            event = event_of(without_tokens(values, scrubbed), self._constants)
            event, _ = fit(event, self._encode, PLAIN_LIMIT_BYTES)
            values = {name: vars(event)[name] for name in self._form.names if vars(event)[name] is not None}
        return concealer.values(values)

    def _sealable(self, values: dict[str, Any], signer: SigningKey | None) -> Draft:
        try:
            head = self._form.fill(values)
            key = (values.get("subject") or values["actor_id"]).encode()
        except UnicodeEncodeError:
            head, key = b"", b""
        if _TOKEN in head or _TOKEN in key:
            # Where no secret is expected there may be one all the same.
            values = without_tokens(values, scrubbed)
            head = b""
        if not head or len(head) + len(key) > LIMIT_BYTES:
            # Its number, which takes one byte here, comes to stand behind the rest.
            event, datum = fit(event_of(values, self._constants), self._encode)
            head, key = datum[:-1], event.whose.encode()
        return values["recorded_at"], key, head, signer

    def _loss_draft(self, loss: Loss) -> Draft:
        now = self._clock()
        return self._sealable(
            {
                "event_id": self._new_id(),
                "occurred_at": now,
                "recorded_at": now,
                "action": AUDIT_LOSS,
                "actor_id": self._service,
                "actor_type": "service",
                "outcome": "failure",
                "attributes": {
                    "producer_id": loss.producer_id,
                    "count": str(loss.count),
                    "first": str(loss.first),
                    "last": str(loss.last),
                    "why": loss.why,
                },
            },
            None,
        )

    def _leave_to_parent(self) -> None:
        """In a forked child: the parent's outbox is left alone, and never freed: its threads are not here."""
        _PARENTS.append(self._outbox)
        if self._outbox is not None:
            self._outbox.leave_to_parent()
        self._outbox = None
        self._opening = threading.Lock()


_TRAILS: "weakref.WeakSet[AuditTrail]" = weakref.WeakSet()
_PARENTS: list[object] = []


def _in_child() -> None:
    for trail in list(_TRAILS):
        trail._leave_to_parent()


os.register_at_fork(after_in_child=_in_child)
