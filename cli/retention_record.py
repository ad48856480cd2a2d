"""Telling of holds and cuts: events, made with an admin's key and signed where its secret is at hand."""

import getpass
from collections.abc import Mapping
from dataclasses import dataclass

from keytrail.cli.keys.admin import Admin
from keytrail.producers import AuditTrail
from keytrail.producers.clock import system_clock
from keytrail.producers.key_log import read_keys
from keytrail.schemas.errors import UnavailableError
from keytrail.schemas.settings import Settings
from keytrail.sinks.retention.holds import SERVICE

_DELIVERED_S = 30.0


@dataclass(frozen=True)
class Author:
    """Who acts, and why; `key` names the admin's key, None: the one at hand."""

    actor: str | None
    key: str | None
    reason: str
    ticket: str | None


class Record:
    """Raises `UsageError` and `KeyChangeError` where the key may not do `actions`."""

    def __init__(self, settings: Settings, author: Author, *actions: str) -> None:
        self._settings = settings
        self._author = author
        self._admin = Admin(settings, author.actor or getpass.getuser(), author.key)
        keys, now = read_keys(settings), system_clock()
        self._key_ids = {action: self._admin.allowed(action, keys, now) for action in actions}

    def tell(self, action: str, event_id: str, attributes: Mapping[str, str]) -> None:
        """Sends the event; it is in Kafka when this returns.  Raises `UnavailableError`."""
        signer = self._admin.signer
        key = signer.token if signer is not None else self._key_ids[action]
        trail = AuditTrail(SERVICE, settings=self._settings, new_id=lambda: event_id)
        trail.record(
            action,
            key=key,
            actor=self._admin.actor,
            reason=self._author.reason,
            ticket=self._author.ticket,
            resource="retention",
            attributes=attributes,
        )
        if trail.close(_DELIVERED_S):
            raise UnavailableError(
                f"Kafka did not take the event `{action}`; nothing was done.", "Try again when it runs."
            )
