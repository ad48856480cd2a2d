"""Log records as events: for services that say by `logging` what they do."""

import logging
import threading
from collections.abc import Collection, Mapping
from typing import Any

from keytrail.producers.details import text
from keytrail.producers.trail import AuditTrail

_LOG = logging.getLogger("keytrail.producers")
_OURS = "keytrail"


class AuditHandler(logging.Handler):
    """Makes events of the records that carry `extra={"audit": {...}}`, and of all records of `loggers`.

    The mapping holds what `AuditTrail.record` takes; `action` is `log` where it is left out, and what has
    another name becomes an attribute.  The message, the logger and the level are attributes; an exception
    makes the outcome a failure.  Records of keytrail's own loggers, and what is logged while an event is
    made, are passed over.  Never raises.
    """

    def __init__(self, trail: AuditTrail, loggers: Collection[str] = (), level: int = logging.NOTSET) -> None:
        super().__init__(level)
        self._trail = trail
        self._loggers = tuple(loggers)
        self._busy = threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        audit = getattr(record, "audit", None)
        if _is_below(record.name, _OURS) or getattr(self._busy, "now", False):
            return
        if not isinstance(audit, Mapping):
            if not any(_is_below(record.name, name) for name in self._loggers):
                return
            audit = {}
        self._busy.now = True
        try:
            self._record(record, audit)
        except Exception:  # noqa: BLE001  # logging must not break the service that logs
            _LOG.warning("A log record that was to be audited could not be read.")
        finally:
            self._busy.now = False

    def _record(self, record: logging.LogRecord, audit: Mapping[str, Any]) -> None:
        said = {str(name): value for name, value in audit.items()}
        given = said.get("attributes")
        attributes = {"message": _message(record), "logger": record.name, "level": record.levelname}
        said["attributes"] = {**attributes, **given} if isinstance(given, Mapping) else attributes
        if record.exc_info and record.exc_info[1] is not None:
            said.setdefault("outcome", "failure")
            said.setdefault("error", f"{type(record.exc_info[1]).__name__}: {text(record.exc_info[1])}")
        self._trail.record(said.pop("action", "log"), **said)


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001  # arguments that do not fit the text
        return text(record.msg)


def _is_below(name: str, parent: str) -> bool:
    return name == parent or name.startswith(f"{parent}.")
