"""The records that travel between the parts, as typed Python values.

One class a schema, with the same fields in the same order (a test compares them); what a field
means stands in the schema's `doc`.  Times are whole microseconds since 1970, UTC.
"""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Micros: TypeAlias = int
Severity = Literal["low", "medium", "high", "critical"]
FindingStatus = Literal["open", "updated", "resolved", "suppressed", "acknowledged", "closed"]
# Why a record is a dead letter.  Workers and sinks of later versions may know more.
DeadReason = Literal[
    "null_value",
    "over_size",
    "bad_magic",
    "unknown_schema",
    "unusable_schema",
    "torn_datum",
    "bad_text",
    "invalid_event",
    "absurd_time",
    "unreadable_batch",
    "poison",
    "rejected_by_clickhouse",
]


@dataclass(frozen=True)
class Event:
    """One access change or privileged operation (`event.v1.avsc`)."""

    event_id: str
    occurred_at: Micros
    recorded_at: Micros
    service: str
    environment: str | None
    actor_id: str
    actor_type: str
    key_id: str | None
    key_alias: str | None
    action: str
    subject: str | None
    role: str | None = None
    permissions: list[str] = field(default_factory=list)
    resource: str | None = None
    reason: str | None = None
    ticket: str | None = None
    approved_by: str | None = None
    expires_at: Micros | None = None
    outcome: str = "success"
    error: str | None = None
    source_ip: str | None = None
    user_agent: str | None = None
    trace_id: str | None = None
    span_id: str | None = None
    correlation_id: str | None = None
    before: str | None = None
    after: str | None = None
    attributes: dict[str, str] = field(default_factory=dict)
    producer_id: str = ""
    sequence: int = 0

    @property
    def whose(self) -> str:
        """Whose access the event is about: the subject, or else the actor.  Events are keyed by it."""
        return self.subject or self.actor_id

    @property
    def key_name(self) -> str | None:
        """What the event calls its key: its id, or else its alias."""
        return self.key_id or self.key_alias

    @property
    def grants_role(self) -> bool:
        return self.action == "grant" and self.outcome == "success" and self.role is not None


@dataclass(frozen=True)
class Enrichment:
    """The fields that `enriched.v2.avsc` adds behind an event's."""

    key_status: str
    key_owner: str | None
    key_kind: str | None
    key_team: str | None
    signature: str
    findings: list[str]
    policy_version: str
    source_partition: int
    source_offset: int
    enriched_at: Micros


@dataclass(frozen=True)
class Suspension:
    """From when until when a key was suspended; the end is no longer part of it."""

    since: Micros
    until: Micros


# 32 fields: beyond 30, instances do not share the names of their attributes, which took a kilobyte each.
@dataclass(frozen=True, slots=True)
class Key:
    """A provisioning key as of its latest change (`key.v2.avsc`)."""

    key_id: str
    version: int
    kind: str
    owner: str
    team: str | None
    status: str
    issued_at: Micros
    expires_at: Micros | None = None
    rotated_at: Micros | None = None
    suspended_at: Micros | None = None
    revoked_at: Micros | None = None
    scope_actions: list[str] = field(default_factory=list)
    scope_roles: list[str] = field(default_factory=list)
    scope_resources: list[str] = field(default_factory=list)
    scope_environments: list[str] = field(default_factory=list)
    scope_networks: list[str] = field(default_factory=list)
    scope_hours: str | None = None
    break_glass: bool = False
    predecessor: str | None = None
    successor: str | None = None
    parent_key: str | None = None
    aliases: list[str] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    suspensions: list[Suspension] = field(default_factory=list)
    secret_version: int = 0
    secret_since: Micros = 0
    old_secrets_until: Micros = 0
    changed_by: str = ""
    reason: str | None = None
    changed_at: Micros = 0


@dataclass(frozen=True)
class Occurrence:
    """When an event happened and which it was; ordered by time, then id."""

    occurred_at: Micros
    event_id: str


@dataclass(frozen=True)
class Profile:
    """A subject's figures, for rules that compare it with its peers."""

    team: str
    roles: int
    previous_roles: int
    unused: int
    grown: int


# What a key did: it gave access or took it away, was denied, got through where it had been denied, or did
# something else; and that it was used at a place, which stands as the action.
DeedKind = Literal["given", "taken", "denied", "passed", "used", "placed"]


@dataclass(frozen=True)
class Deed:
    """What a key did in one minute; of `used`, which is told more rarely, one event.

    `events` are the first few.
    """

    kind: str
    action: str
    actor: str
    network: str | None
    count: int
    last: Micros
    events: list[Occurrence]


@dataclass(frozen=True)
class Tally:
    """What one key did in a batch of events, and what is known of the key.

    `issued_at` is null where the key is older than the first event that was ever seen.
    """

    key_version: int
    kind: str
    owner: str
    break_glass: bool
    provisions: bool
    issued_at: Micros | None
    deeds: list[Deed]


@dataclass(frozen=True)
class Triage:
    """What a person decided on a finding: `status` is acknowledged or closed.

    `count` and `severity` are the finding's as the person saw them.
    """

    status: str
    count: int
    severity: str
    by: str
    key_id: str
    reason: str
    ticket: str | None
    at: Micros


@dataclass(frozen=True)
class RoleHolding:
    """A role that one subject more (1) or one less (-1) holds, or that was granted anew (0).

    `permissions` is a digest, "" where none are stated; `since` is the time of the latest change, and `first`
    that of the first grant.  `holder` is a digest of the subject, 16 hex digits, "" from an earlier version.
    """

    role: str
    change: int
    permissions: str
    since: Micros
    first: Micros
    holder: str = ""


@dataclass(frozen=True)
class Report:
    """The service was there: the first event of each of some hours."""

    service: str
    events: list[Occurrence]


@dataclass(frozen=True)
class GlassMoments:
    """When a break-glass key was used, the first use of each minute, and when that was reviewed."""

    key_id: str
    uses: list[Occurrence]
    reviews: list[Occurrence]


@dataclass(frozen=True)
class PrivilegedUse:
    """A privileged key was used: the first use of a UTC day."""

    key_id: str
    occurred_at: Micros
    event_id: str


@dataclass(frozen=True)
class NumberBlock:
    """Which numbers were seen of the 1,024 from 1,024 times `block` on: a bit each, little-endian."""

    block: int
    bits: bytes


@dataclass(frozen=True)
class ToldLoss:
    """A producer says that `count` events of a run, numbered from `first` to `last`, are lost."""

    why: str
    count: int
    first: int
    last: int


@dataclass(frozen=True)
class RunNumbers:
    """What came in one hour of the numbers that a run of a producer gave out, and was told of their loss."""

    producer_id: str
    service: str
    hour: int
    blocks: list[NumberBlock]
    lost: list[ToldLoss] = field(default_factory=list)


@dataclass(frozen=True)
class Attendance:
    """What one partition of the events topic tells of its services, and which hour since 1970 it has reached.

    The hour is -1 where it has reached none yet.  With it goes what else is judged when hours are complete.
    `numbers_from` is the hour from which on all numbers are told; -1 where an earlier version told it.
    """

    partition: int
    hour: int
    reports: list[Report]
    glass: list[GlassMoments] = field(default_factory=list)
    privileged: list[PrivilegedUse] = field(default_factory=list)
    numbers: list[RunNumbers] = field(default_factory=list)
    numbers_from: int = -1


@dataclass(frozen=True)
class Signal:
    """A rule's word on one entity and cause, a tally, holdings, a triage, or attendance (`signal.v2.avsc`).

    Internal to the stream.
    """

    rule: str
    entity_type: str
    entity: str
    cause: str
    holds: bool
    severity: str
    summary: str
    remedy: str
    events: list[Occurrence]
    count: int
    first_seen: Micros
    last_seen: Micros
    details: dict[str, str]
    policy_version: str
    profile: Profile | None = None
    tally: Tally | None = None
    holdings: list[RoleHolding] = field(default_factory=list)
    triage: Triage | None = None
    attendance: Attendance | None = None


@dataclass(frozen=True)
class Anomaly:
    """One state of one finding (`anomaly.v1.avsc`)."""

    anomaly_id: str
    revision: int
    rule: str
    rule_version: int
    severity: str
    status: str
    entity_type: str
    entity: str
    cause: str
    first_seen: Micros
    last_seen: Micros
    count: int
    evidence: list[str]
    summary: str
    remedy: str
    technique: str | None
    policy_version: str
    details: dict[str, str]
    emitted_at: Micros


@dataclass(frozen=True)
class Header:
    name: str
    value: bytes | None


# A dead letter's header where its content was cut: how many bytes there were.
CUT_HEADER = "keytrail-cut-from"


@dataclass(frozen=True)
class DeadLetter:
    """A record that could not be used (`deadletter.v1.avsc`)."""

    source_topic: str
    source_partition: int
    source_offset: int
    source_timestamp: Micros
    reason: str
    detail: str
    remedy: str
    schema_id: int | None
    key: bytes | None
    value: bytes | None
    headers: list[Header]
    failed_at: Micros
