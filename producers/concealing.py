"""Privacy mode where events are made: people become pseudonyms, what is theirs is sealed with their keys."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from keytrail.producers.clock import Clock, system_clock
from keytrail.producers.fitting import LIMIT_BYTES
from keytrail.producers.subject_keys import SubjectKeys
from keytrail.producers.waiting_keys import WaitingKeys
from keytrail.schemas.masters import read_secrets
from keytrail.schemas.privacy import PrivacySecrets, PrivacySettings, is_pseudonym, matches, sealed_with
from keytrail.schemas.records import Event, Key
from keytrail.schemas.settings import Settings

# Sealing makes four bytes of three; a longer text is cut before, since a sealed one that is cut is lost.
PLAIN_LIMIT_BYTES = LIMIT_BYTES * 2 // 3
_NAMES = ("actor_id", "subject", "approved_by")
_ACTORS_OWN = {"source_ip", "user_agent"}


class Concealer:
    """What is concealed already stays as it is, so that doing it twice does no harm.  Thread-safe."""

    def __init__(self, rules: PrivacySettings, secrets: PrivacySecrets, keys: SubjectKeys) -> None:
        self._rules = rules
        self._secrets = secrets
        self._keys = keys

    @classmethod
    def of(cls, settings: Settings, clock: Clock = system_clock, spool: Path | None = None) -> "Concealer":
        """Keys that Kafka has not yet wait in the folder `spool`, where there is one.

        Raises `UsageError` where the privacy secrets are missing or can be read by everybody.
        """
        secrets = PrivacySecrets(read_secrets(settings.privacy_secrets))
        waiting = None if spool is None else WaitingKeys(spool)
        return cls(settings.privacy, secrets, SubjectKeys(settings, secrets, clock, waiting=waiting))

    @classmethod
    def if_on(cls, settings: Settings, clock: Clock = system_clock) -> "Concealer | None":
        """None where privacy mode is off.  Raises as `of`."""
        return cls.of(settings, clock) if settings.privacy.on else None

    def flush(self, timeout_s: float) -> int:
        """Wait until Kafka has the keys; how many it has not after `timeout_s`."""
        return self._keys.flush(timeout_s)

    def close(self, timeout_s: float) -> None:
        """As `flush`; what is left is logged, and waits for the next run where there is a spool."""
        self._keys.close(timeout_s)

    def values(self, values: Mapping[str, Any], under: str | None = None) -> dict[str, Any]:
        """An event's values by field.  All is sealed with the key of `under`; by default, address and browser
        with the actor's, the rest with that of whose access it is about.
        """
        actor = values["actor_id"]
        whose = values.get("subject") or actor
        event_id = values["event_id"]
        concealed = dict(values)
        for name in _NAMES:
            if value := values.get(name):
                concealed[name] = self.name(value)
        for name in self._rules.fields:
            if isinstance(value := values.get(name), str) and value:
                owner = under or (actor if name in _ACTORS_OWN else whose)
                concealed[name] = self._sealed(value, owner, f"{event_id}/{name}")
        if attributes := values.get("attributes"):
            concealed["attributes"] = {
                name: text
                if matches(name, self._rules.plain_attributes)
                else self._sealed(text, under or whose, f"{event_id}/attributes.{name}")
                for name, text in attributes.items()
            }
        return concealed

    def event(self, event: Event, under: str | None = None) -> Event:
        """As `values`."""
        return Event(**self.values(vars(event), under))

    def key(self, key: Key) -> Key:
        """A provisioning key's record: its owner is a pseudonym, unless that is a service."""
        reason = key.reason and self._sealed(key.reason, key.owner, f"{key.key_id}/reason")
        by = key.changed_by and self.name(key.changed_by)
        return replace(key, owner=self.name(key.owner), changed_by=by, reason=reason)

    def name(self, name: str) -> str:
        """The person's pseudonym, whose key is published with the name in it; a service's name as it is."""
        if is_pseudonym(name) or matches(name, self._rules.services):
            return name
        return self._keys.key_of(name).pseudonym

    def _sealed(self, text: str, owner: str, place: str) -> str:
        return text if sealed_with(text) else self._keys.key_of(owner).seal(text, place)
