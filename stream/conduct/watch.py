"""Watching keys: tallies come in, and what the rules say of a key's conduct goes out as signals."""

from collections.abc import Sequence
from dataclasses import replace

from keytrail.schemas.records import Signal, Tally
from keytrail.stream.conduct import conduct
from keytrail.stream.conduct.conduct import Conduct
from keytrail.stream.detections.verdict import Verdict
from keytrail.stream.findings.signals import signal_of
from keytrail.stream.policies.policy import Policy
from keytrail.stream.stages.judging import Judges
from keytrail.stream.stages.store import StateChange, StateStore


class ConductWatch:
    """Of the keys of one partition of the signals topic.  Not thread-safe."""

    def __init__(self) -> None:
        self._judges = Judges()
        self._conducts: StateStore[Conduct] = StateStore("conduct", conduct.pack, conduct.unpack)

    @property
    def prefix(self) -> bytes:
        return self._conducts.prefix

    def take(self, key_id: str, tallies: Sequence[Tally], policy: Policy) -> list[Signal]:
        """What is found with these tallies, by the policy that counted for their events.

        Those of one batch together: judged one by one, a partition that is ahead would look like all of them.
        """
        judge = self._judges.of(policy)
        known = self._conducts.get(key_id) or Conduct(key_id)
        for tally in tallies:
            known.add(tally)
        verdicts = judge.conduct(known, {deed.kind for tally in tallies for deed in tally.deeds})
        known.trim()
        self._conducts.put(key_id, known)
        return [signal_of(_proven(verdict, tallies), policy.version) for verdict in verdicts]

    def take_changes(self) -> list[StateChange]:
        return self._conducts.take_changes()

    def restore(self, key: bytes, value: bytes | None) -> None:
        """Take a record of the changelog, in its order."""
        self._conducts.restore(key, value)


def _proven(verdict: Verdict, tallies: Sequence[Tally]) -> Verdict:
    """With evidence: where it names none, all that was told."""
    if verdict.evidence:
        return verdict
    some = tuple(event for tally in tallies for deed in tally.deeds for event in deed.events)
    return replace(verdict, evidence=some)
