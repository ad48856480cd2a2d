"""`keytrail suspender`: suspends keys of critical findings where the policy says so, until SIGTERM or Ctrl-C.

At least once: a finding's offset is committed when it was dealt with, and dealing with it twice does nothing.
"""

import argparse
import logging
import signal
from types import FrameType

from keytrail.cli.keys.admin import Admin
from keytrail.cli.options import connection_flags, settings_from
from keytrail.cli.output import log_to_stderr
from keytrail.cli.policy_in_force import policy_in_force
from keytrail.producers.clock import system_clock
from keytrail.producers.ids import UuidV7
from keytrail.producers.key_changes import suspended
from keytrail.producers.key_log import KeyLog, read_keys
from keytrail.producers.key_registry import Edit, KeyRegistry
from keytrail.schemas.records import Anomaly, Event, Key, Micros
from keytrail.schemas.settings import Settings
from keytrail.sinks.anomaly_reader import AnomalyReader
from keytrail.stream.findings.auto_suspend import concerns, hindrance, is_grave, marked
from keytrail.stream.policies.policy import AutoSuspend

ACTOR = "keytrail"
GROUP = "keytrail-suspender"
_log = logging.getLogger("keytrail.suspender")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--key", metavar="ID", help="the admin's key that this is done with")
    connection_flags(parser)


def run(options: argparse.Namespace) -> int:
    """Raises `UsageError` or `KeyChangeError` where the admin's key may not suspend keys."""
    settings = settings_from(options, needs=("kafka", "registry"))
    log_to_stderr()
    admin = Admin(settings, ACTOR, options.key)
    admin.allowed("suspend_key", read_keys(settings), system_clock())
    reader = AnomalyReader(settings, GROUP)

    def stop(_signal: int, _frame: FrameType | None) -> None:
        reader.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    reader.run(Suspender(settings, admin).take)
    return 0


class Suspender:
    """Deals with one finding after the other.  Not thread-safe."""

    def __init__(self, settings: Settings, admin: Admin) -> None:
        self._settings = settings
        self._admin = admin
        self._new_id = UuidV7()

    def take(self, finding: Anomaly) -> None:
        """Suspend the finding's key where the policy in force wants that.

        Blocks.  Raises `UnavailableError` where Kafka or the registry is away; nothing was done then, or all.
        """
        if not is_grave(finding):
            return
        allowed = policy_in_force(self._settings.kafka).auto_suspend
        if not concerns(finding, allowed):
            return

        def decide(known: KeyLog) -> list[Edit]:
            return self._edits(finding, known, allowed)

        for key in KeyRegistry(self._settings, self._admin.signer).change(decide):
            _log.warning(
                "key %s of %s is suspended: finding %s (%s). To take that back: %s",
                *(key.key_id, key.owner, finding.anomaly_id, finding.rule, undo(key)),
            )

    def _edits(self, finding: Anomaly, known: KeyLog, allowed: AutoSuspend) -> list[Edit]:
        key = known.keys.get(finding.entity)
        if key is None:
            _log.warning("finding %s: there is no key %s to suspend", finding.anomaly_id, finding.entity)
            return []
        now = system_clock()
        own_key = self._admin.allowed("suspend_key", known, now)
        if why := hindrance(finding, key, known.keys.values(), allowed, own_key, now):
            _log.warning(
                "key %s is not suspended for finding %s (%s): %s",
                *(key.key_id, finding.anomaly_id, finding.rule, why),
            )
            return []
        reason = f"finding {finding.anomaly_id} of rule {finding.rule}"
        off = suspended(marked(key, finding, now), by=ACTOR, reason=reason, now=now)
        return [Edit(off, self._event(off, finding, own_key, now))]

    def _event(self, key: Key, finding: Anomaly, own_key: str, now: Micros) -> Event:
        return Event(
            event_id=self._new_id(),
            occurred_at=now,
            recorded_at=now,
            service=ACTOR,
            environment=None,
            actor_id=ACTOR,
            actor_type="system",
            key_id=own_key,
            key_alias=None,
            action="suspend_key",
            subject=key.owner,
            resource="provisioning key",
            reason=key.reason,
            attributes={
                "affected_key": key.key_id,
                "keytrail.finding": finding.anomaly_id,
                "keytrail.undo": undo(key),
            },
        )


def undo(key: Key) -> str:
    """The command that takes the suspension back."""
    return f'keytrail keys resume {key.key_id} --reason "..."'
