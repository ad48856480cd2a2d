import logging
from collections.abc import Iterator
from typing import Any

import pytest
from collecting import Collecting

from keytrail.producers import AuditTrail
from keytrail.producers.log_handler import AuditHandler
from keytrail.schemas.records import Event


class Service:
    """A logger with the handler, and what became of its records."""

    def __init__(self) -> None:
        self.outlet = Collecting()
        self.trail = AuditTrail("billing", outlet=self.outlet, redact=self.noisy)
        self.log = logging.getLogger("service")
        self.handler = AuditHandler(self.trail, ["service.audit"])

    def noisy(self, _place: str, text: str) -> str:
        self.log.warning("redacting", extra={"audit": {}})
        return text

    def events(self) -> list[Event]:
        assert self.trail.close(60) == 0
        return self.outlet.events


@pytest.fixture
def service() -> Iterator[Service]:
    made = Service()
    loggers = [logging.getLogger("service"), logging.getLogger("keytrail")]
    for logger in loggers:
        logger.addHandler(made.handler)
    yield made
    for logger in loggers:
        logger.removeHandler(made.handler)
    made.trail.close(0)


def test_a_record_that_carries_an_audit_becomes_an_event(service: Service) -> None:
    said = {"action": "grant", "subject": "bob", "role": "admin", "actor": "anna", "key": "key-1", "shard": 7}
    service.log.warning("gave %s a role, password=%s", "bob", "hunter2", extra={"audit": said})
    service.log.warning("nothing to see")

    [event] = service.events()
    assert (event.action, event.subject, event.role, event.actor_id, event.key_id) == (
        "grant",
        "bob",
        "admin",
        "anna",
        "key-1",
    )
    assert event.attributes == {
        "message": "gave bob a role, password=[redacted]",
        "logger": "service",
        "level": "WARNING",
        "shard": "7",
    }


def test_the_records_of_a_named_logger_become_events(service: Service) -> None:
    with service.trail.acting_as("key-1", "anna"):
        logging.getLogger("service.audit.roles").warning("role dropped")
    try:
        raise ValueError("no such role")
    except ValueError:
        logging.getLogger("service.audit").exception("failed")

    dropped, failed = service.events()
    assert (dropped.action, dropped.key_id, dropped.attributes["message"]) == ("log", "key-1", "role dropped")
    assert (failed.outcome, failed.error) == ("failure", "ValueError: no such role")


def test_logging_never_raises_nor_goes_in_circles(service: Service) -> None:
    class Bad:
        def __str__(self) -> str:
            raise RuntimeError

        __repr__ = __str__

    def handle(name: str, message: Any, *args: Any, **more: Any) -> None:
        # Past the logger: pytest's own handler raises for such records.
        record = logging.LogRecord(name, logging.WARNING, "", 0, message, args, None)
        vars(record).update(more)
        service.handler.handle(record)

    handle("service.audit", "%d", "no number")
    handle("service.audit", Bad())
    handle("service.audit", "odd", audit={"self": 1})
    handle("service.audit", "odd", audit={7: Bad(), "attributes": Bad(), "action": Bad(), "key": Bad()})
    handle("keytrail.producers", "ours", audit={})

    assert [event.attributes.get("message") for event in service.events()] == [
        "%d",
        "<unreadable Bad>",
        "odd",
    ]
