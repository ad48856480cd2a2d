"""What a rule is, and what it says of an event."""

from dataclasses import dataclass, field
from typing import Literal

from keytrail.schemas.records import Micros, Occurrence, Profile, RoleHolding

SEVERITIES = ("low", "medium", "high", "critical")


@dataclass(frozen=True)
class Rule:
    """A rule's standing facts.

    An act (somebody did something) stays open until a person closes it; a condition (something is
    the case) resolves by itself when it ends.  `technique` is MITRE ATT&CK's id.

    `measure` says what a finding's count is: of events, which add up; a figure, which is stated anew; or a
    peak, which is the highest that was stated.
    """

    name: str
    version: int
    kind: Literal["act", "condition"]
    severity: str
    technique: str | None
    measure: Literal["events", "figure", "peak"] = "events"


@dataclass(frozen=True)
class Verdict:
    """A rule's word on one entity and cause, given by one event.

    `evidence` stands in for the event where a condition rests on several.  `profile` is set where
    the subject is to be compared with its peers before the word is final, and `holdings` where a team's roles
    are to be counted; such a verdict is no finding yet.

    `count`, `since` and `until` are for rules over a key's conduct: the figure that was measured, and when it
    began and ended where that is not at the first and the last of the evidence.
    """

    rule: Rule
    entity_type: str
    entity: str
    cause: str
    summary: str
    remedy: str
    holds: bool = True
    severity: str = ""
    details: dict[str, str] = field(default_factory=dict)
    evidence: tuple[Occurrence, ...] = ()
    profile: Profile | None = None
    holdings: tuple[RoleHolding, ...] = ()
    count: int = 1
    since: Micros | None = None
    until: Micros | None = None

    @property
    def is_final(self) -> bool:
        return self.profile is None and not self.holdings
