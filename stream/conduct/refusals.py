"""Which successes are told: those of an action that was refused to the same key a while before.

Of one partition.  What was refused outlives a restart; the latest successes, which matter where word of a
refusal before them comes late, do not.
"""

import json

from keytrail.schemas.records import Micros
from keytrail.stream.stages.store import StateChange, StateStore

_WITHIN: Micros = 3_600_000_000  # an hour: no policy may ask for more
_MOST_ACTIONS = 8
_MOST_SUCCESSES = 50_000

At = tuple[Micros, str]


class Refusals:
    """Not thread-safe."""

    def __init__(self) -> None:
        self._refused: StateStore[dict[str, Micros]] = StateStore(
            "refused", lambda latest: json.dumps(latest).encode(), json.loads
        )
        self._succeeded: dict[tuple[str, str], At] = {}

    @property
    def prefix(self) -> bytes:
        return self._refused.prefix

    def refuse(self, key_id: str, action: str, at: At) -> At | None:
        """The action was refused; the success that is known to have followed, if any."""
        latest = self._refused.get(key_id) or {}
        latest[action] = max(latest.get(action, 0), at[0])
        if len(latest) > _MOST_ACTIONS:
            del latest[min(latest, key=lambda one: (latest[one], one))]
        self._refused.put(key_id, latest)
        success = self._succeeded.get((key_id, action))
        return success if success is not None and success[0] >= at[0] else None

    def succeed(self, key_id: str, action: str, at: At) -> bool:
        """True where the success is worth telling."""
        name = (key_id, action)
        known = self._succeeded.get(name)
        if known is None or known < at:
            if known is None and len(self._succeeded) >= _MOST_SUCCESSES:
                self._succeeded.clear()
            self._succeeded[name] = at
        latest = self._refused.get(key_id)
        if latest is None or (refused := latest.get(action)) is None:
            return False
        return at[0] - _WITHIN <= refused

    def take_changes(self) -> list[StateChange]:
        return self._refused.take_changes()

    def restore(self, key: bytes, value: bytes | None) -> None:
        """Take a record of the changelog, in its order."""
        self._refused.restore(key, value)
