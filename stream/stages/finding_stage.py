"""The second stage: signals about one entity, or one team, come together and become anomaly records.

Knows no Kafka, like the first.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain

from keytrail.schemas.ledger import FINDING_LEDGER
from keytrail.schemas.records import Anomaly, Micros, Profile, Signal, Tally, Triage
from keytrail.schemas.triage import anomaly_id
from keytrail.stream.access import peers
from keytrail.stream.access.census import RoleCensus
from keytrail.stream.access.peers import Candidate, Team, Usual
from keytrail.stream.conduct.watch import ConductWatch
from keytrail.stream.custom.rule import rule_of
from keytrail.stream.detections import expired_exception
from keytrail.stream.detections.role_sprawl import sprawls
from keytrail.stream.dormancy.watch import DormancyWatch
from keytrail.stream.findings import findings, triage
from keytrail.stream.findings.findings import Finding
from keytrail.stream.keys.keys import KeyDirectory
from keytrail.stream.policies.exemptions import exemption_of, lapsed_exemption, named, next_end, told_with
from keytrail.stream.policies.policy import Exemption
from keytrail.stream.policies.timeline import Timeline
from keytrail.stream.reviews.watch import ReviewWatch
from keytrail.stream.sequences.watch import SequenceWatch
from keytrail.stream.silence.watch import SilenceWatch
from keytrail.stream.stages.ledger import FindingBook
from keytrail.stream.stages.store import StateChange, StateStore

_FINDING, _TEAM, _CANDIDATE, _TRIAGE = "finding", "team", "candidate", "triage"


class FindingStage:
    """One partition of the signals topic.  Not thread-safe; batches must come in offset order.

    What is judged here, of teams and of a key's conduct, is judged by the policy that gave the signal: that
    of the events it comes from.  Exceptions are those of the latest policy, from when the worker knows it.
    """

    def __init__(
        self, policies: Timeline, keys: KeyDirectory, clock: Callable[[], Micros], partitions: int = 1
    ) -> None:
        """`partitions`: of the events topic; what is judged in time waits for all of them."""
        self._policies = policies
        self._exceptions = policies.latest.exceptions
        self._clock = clock
        self._findings: StateStore[Finding] = StateStore(_FINDING, findings.pack, findings.unpack)
        self._teams: StateStore[Team] = StateStore(_TEAM, peers.pack_team, peers.unpack_team)
        self._candidates: StateStore[Candidate] = StateStore(
            _CANDIDATE, peers.pack_candidate, peers.unpack_candidate
        )
        self._triages: StateStore[Triage] = StateStore(_TRIAGE, triage.pack, triage.unpack)
        self._watched = ConductWatch()
        self._census = RoleCensus()
        self._silence = SilenceWatch(policies, partitions)
        self._reviews = ReviewWatch(policies)
        self._dormancy = DormancyWatch(policies, keys)
        self._sequences = SequenceWatch(policies, partitions)
        self._candidates_of: dict[str, set[str]] = {}
        self._untold: dict[str, None] = {}
        self._exempt: set[str] = set()  # told as suppressed
        self._lapsed: set[str] = set()  # whose exception is to be looked at: it may be over, or no longer
        self._next_end = next_end(self._exceptions, clock())
        self._book = FindingBook()

    def restore(self, key: bytes, value: bytes | None) -> None:
        """Take a record of this partition's changelog, in its order."""
        if key == FINDING_LEDGER:
            self._book.restore(value)
        elif key.startswith(self._teams.prefix):
            self._teams.restore(key, value)
        elif key.startswith(self._triages.prefix):
            self._triages.restore(key, value)
        elif self._census.keeps(key):
            self._census.restore(key, value)
        elif self._silence.keeps(key):
            self._silence.restore(key, value)
        elif key.startswith(self._reviews.prefix):
            self._reviews.restore(key, value)
        elif self._dormancy.keeps(key):
            self._dormancy.restore(key, value)
        elif self._sequences.keeps(key):
            self._sequences.restore(key, value)
        elif key.startswith(self._watched.prefix):
            self._watched.restore(key, value)
        elif key.startswith(self._candidates.prefix):
            self._candidates.restore(key, value)
            self._index(*peers.split_candidate_key(key.removeprefix(self._candidates.prefix).decode()), value)
        else:
            self._findings.restore(key, value)
            # What the last run did not get to tell is told once things are quiet.
            name = key.removeprefix(self._findings.prefix).decode()
            finding = None if value is None else findings.unpack(value)
            if finding is not None:
                self._restore_lapsed(name, finding)
            if finding is not None and not self._is_told(name, finding):
                self._untold[name] = None
            else:
                self._untold.pop(name, None)

    def process(self, signals: Iterable[Signal]) -> list[Anomaly]:
        """Take a batch in; the anomalies given are those that should not wait until things are quiet."""
        began = self._clock()
        touched: dict[str, None] = {}
        taken = 0
        tallied: dict[tuple[str, str], list[tuple[Signal, Tally]]] = {}
        for signal in signals:
            taken += 1
            if signal.tally is not None:
                tallied.setdefault((signal.entity, signal.policy_version), []).append((signal, signal.tally))
            else:
                touched.update(dict.fromkeys(self._take(signal)))
        for some in tallied.values():
            touched.update(dict.fromkeys(self._take_tallies(some)))
        until = self._silence.until()
        in_time = (
            *(self._silence.judge(), self._reviews.judge(until), self._dormancy.judge(until)),
            self._sequences.judge(self._silence.past()),
        )
        for found in chain.from_iterable(in_time):
            touched.update(dict.fromkeys(self._apply(found)))
        anomalies = []
        for name in touched:
            finding = self._findings.get(name)
            if finding is not None and findings.is_due(finding):
                anomalies.append(self._tell(name, finding))
            elif finding is not None and not self._is_told(name, finding):
                self._untold[name] = None
        self._enter(began, signals=taken, anomalies=len(anomalies))
        return anomalies

    def settle(self) -> list[Anomaly]:
        """Tell everything that has waited."""
        began = self._clock()
        if self._has_other_exceptions:
            # Any finding may be covered by them, or no longer.
            self._exceptions = self._policies.latest.exceptions
            self._untold.update(dict.fromkeys(sorted(self._findings)))
            self._lapsed.update(self._findings)
            self._next_end = next_end(self._exceptions, began)
        elif began >= self._next_end:
            # An exception is over: what it covered is told again.
            self._untold.update(dict.fromkeys(sorted(self._exempt)))
            self._lapsed |= self._exempt
            self._next_end = next_end(self._exceptions, began)
        anomalies = []
        for name in sorted(self._lapsed):
            if (finding := self._findings.get(name)) is not None:
                self._untold.update(dict.fromkeys(self._look_for_lapse(finding)))
        self._lapsed.clear()
        for name in list(self._untold):
            finding = self._findings.get(name)
            if finding is not None and not self._is_told(name, finding):
                anomalies.append(self._tell(name, finding))
        self._untold.clear()
        self._enter(began, signals=0, anomalies=len(anomalies))
        return anomalies

    def _enter(self, began: Micros, *, signals: int, anomalies: int) -> None:
        self._book.enter(began, signals=signals, anomalies=anomalies, hours=self._silence.hours())

    def expect_partitions(self, partitions: int) -> None:
        """The events topic has so many; before the first batch."""
        self._silence.partitions = self._sequences.partitions = partitions

    def asks_for_keys(self, signals: Iterable[Signal]) -> bool:
        """True where the directory should be as fresh as the topic of keys before these are processed."""
        told = (signal.attendance for signal in signals)
        return any(one is not None and self._dormancy.may_end_a_day(one.hour) for one in told)

    @property
    def has_untold(self) -> bool:
        return (
            bool(self._untold or self._lapsed)
            or self._has_other_exceptions
            or self._clock() >= self._next_end
        )

    @property
    def _has_other_exceptions(self) -> bool:
        return self._policies.latest.exceptions != self._exceptions

    def _take(self, signal: Signal) -> Iterator[str]:
        """Names of the findings that the signal touched."""
        if signal.triage is not None:
            yield self._decide(signal, signal.triage)
        elif signal.attendance is not None:
            self._silence.take(signal.attendance, signal.policy_version)
            self._dormancy.take(signal.attendance, signal.policy_version)
            self._sequences.take(signal.attendance, signal.policy_version)
            for moments in signal.attendance.glass:
                self._reviews.take(moments, signal.policy_version)
        elif signal.profile is not None:
            yield from self._compare(signal, signal.profile)
        elif signal.holdings:
            for found in self._census.take(signal, self._policies.of(signal)):
                yield from self._apply(found)
        else:
            yield from self._apply(signal)

    def _take_tallies(self, tallied: list[tuple[Signal, Tally]]) -> Iterator[str]:
        """As `_take`, for what one key did."""
        signal = tallied[0][0]
        tallies = [tally for _, tally in tallied]
        for found in self._watched.take(signal.entity, tallies, self._policies.of(signal)):
            yield from self._apply(found)

    def _decide(self, signal: Signal, decided: Triage) -> str:
        """Keep a person's decision; the finding may be known only later, where partitions are read anew."""
        name = _name_of(signal)
        known = self._triages.get(name)
        if known is None or decided.at >= known.at:
            self._triages.put(name, decided)
        if (finding := self._findings.get(name)) is not None:
            self._look_up(name, finding)
            self._findings.put(name, finding)
        return name

    def _compare(self, signal: Signal, profile: Profile) -> Iterator[str]:
        """Set the subject among its peers; where the median moves, the other candidates are judged anew."""
        team = self._teams.get(profile.team) or Team()
        # Only where others are candidates does it matter to them what was usual before.
        before = team.usual() if self._candidates_of.get(profile.team) else None
        team.count(profile)
        self._teams.put(profile.team, team)
        self._watch(signal, profile)
        names = self._candidates_of.get(profile.team)
        if not names:
            return
        usual, least = team.usual(), self._policies.of(signal).sprawl.least_peers
        moved = before is not None and (
            (before.median, before.spread) != (usual.median, usual.spread)
            or (before.members >= least) != (usual.members >= least)
        )
        for subject in sorted(names) if moved else names & {signal.entity}:
            yield from self._judge(peers.candidate_key(profile.team, subject), usual)

    def _watch(self, signal: Signal, profile: Profile) -> None:
        """Keep the member among the candidates where it holds enough, or has been found out."""
        name = peers.candidate_key(profile.team, signal.entity)
        known = self._candidates.get(name)
        sprawls_already = known is not None and known.sprawls
        if sprawls_already or profile.roles >= self._policies.of(signal).sprawl.least_roles:
            self._candidates.put(name, Candidate(profile, signal, sprawls_already))
            self._index(profile.team, signal.entity, b"")
        elif known is not None:
            self._drop(name)

    def _judge(self, name: str, usual: Usual) -> Iterator[str]:
        candidate = self._candidates.get(name)
        if candidate is None:
            return
        profile, held = candidate.profile, candidate.sprawls
        policy = self._policies.of(candidate.signal)
        candidate.sprawls = sprawls(profile, usual, policy)
        if candidate.sprawls != held:
            self._candidates.put(name, candidate)
        if candidate.sprawls or held:
            yield from self._apply(_verdict(candidate.signal, profile, candidate.sprawls, usual))
        if not candidate.sprawls and profile.roles < policy.sprawl.least_roles:
            self._drop(name)

    def _drop(self, name: str) -> None:
        self._candidates.remove(name)
        self._index(*peers.split_candidate_key(name), None)

    def _index(self, team: str, subject: str, value: bytes | None) -> None:
        """Note that the team has this candidate, or (None) has it no more."""
        names = self._candidates_of.setdefault(team, set())
        if value is None:
            names.discard(subject)
        else:
            names.add(subject)

    def _apply(self, signal: Signal) -> Iterator[str]:
        name = _name_of(signal)
        finding = self._findings.get(name)
        if finding is None:
            if not signal.holds:
                return
            finding = findings.begin(signal)
        else:
            findings.grow(finding, signal, rule_of(signal.rule))
        self._look_up(name, finding)
        self._findings.put(name, finding)
        yield name
        if self._exceptions:
            yield from self._look_for_lapse(finding)

    def _look_for_lapse(self, finding: Finding) -> Iterator[str]:
        """State anew whether an exception for the finding is over, where that may have changed."""
        if finding.rule == expired_exception.RULE.name:
            return
        over = lapsed_exemption(finding, self._exceptions, self._clock()) if finding.holds else None
        signal = expired_exception.judge(finding, over, self._policies.latest)
        known = self._findings.get(_name_of(signal))
        if signal.holds or (known is not None and known.holds):
            yield from self._apply(signal)

    def _restore_lapsed(self, name: str, finding: Finding) -> None:
        """What came to be over, or was renewed or removed, while no worker looked."""
        if finding.rule == expired_exception.RULE.name:
            if finding.holds:
                self._lapsed.add(finding.details["finding"])
        elif finding.holds and lapsed_exemption(finding, self._exceptions, self._clock()) is not None:
            self._lapsed.add(name)

    def _look_up(self, name: str, finding: Finding) -> Exemption | None:
        """The exception that covers the finding now; this and what a person decided is noted in it."""
        finding.triaged = triage.standing(finding, self._triages.get(name))
        exemption = exemption_of(finding, self._exceptions, self._clock())
        finding.exempt = named(exemption) if exemption is not None else ""
        return exemption

    def _is_told(self, name: str, finding: Finding) -> bool:
        self._look_up(name, finding)
        if finding.told_exempt and finding.told_holds:
            self._exempt.add(name)
        return findings.is_told(finding)

    def _tell(self, name: str, finding: Finding) -> Anomaly:
        exemption = self._look_up(name, finding)
        anomaly = findings.tell(finding, rule_of(finding.rule), self._clock())
        if exemption is not None and finding.holds:
            self._exempt.add(name)
            anomaly = replace(anomaly, details={**anomaly.details, **told_with(exemption)})
        else:
            self._exempt.discard(name)
        if finding.triaged and finding.holds and (decided := self._triages.get(name)) is not None:
            anomaly = replace(anomaly, details={**anomaly.details, **triage.words(decided)})
        self._findings.put(name, finding)
        self._untold.pop(name, None)
        return anomaly

    def take_changes(self) -> list[StateChange]:
        """What the changelog is to be told since the last call; until then what changed is kept unpacked."""
        # The ledger comes last: a check finds it at the end of the changelog.
        stores = (
            *(self._findings, self._teams, self._candidates),
            *(self._watched, self._census, self._silence, self._reviews, self._dormancy, self._sequences),
            self._triages,
        )
        return [change for store in stores for change in store.take_changes()] + self._book.take_changes()


def _name_of(signal: Signal) -> str:
    return anomaly_id(signal.rule, signal.entity_type, signal.entity, signal.cause)


def _verdict(about: Signal, profile: Profile, holds: bool, usual: Usual) -> Signal:
    """The subject's signal with the team's word in it."""
    summary = (
        f"{about.entity} holds {profile.roles} roles, {profile.unused} of them unused; "
        f"the median in its team {profile.team} is {usual.median:g}."
    )
    details = {
        "roles": str(profile.roles),
        "unused": str(profile.unused),
        "grown": str(profile.grown),
        "peers_median": f"{usual.median:g}",
        "peers_spread": f"{usual.spread:g}",
        "peers": str(usual.members),
    }
    return Signal(
        **{
            **vars(about),
            "holds": holds,
            "summary": summary,
            "details": details,
            "count": profile.roles,
        }
    )
