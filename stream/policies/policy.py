"""What the rules are tuned by: one frozen value, named by its content."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from functools import cached_property

from keytrail.stream.conduct.limits import (
    BurstLimits,
    CadenceLimits,
    DormancyLimits,
    NetworkLimits,
    RefusalLimits,
    SharingLimits,
    TravelLimits,
)
from keytrail.stream.policies.duties import Duties, Separation
from keytrail.stream.policies.patterns import matches_any
from keytrail.stream.policies.role_model import DescribedRole, RoleModel
from keytrail.stream.reviews.limits import ReviewLimits
from keytrail.stream.sequences.limits import SequenceLimits
from keytrail.stream.silence.limits import SilenceLimits


@dataclass(frozen=True)
class SprawlLimits:
    """When a subject holds too many roles; see `detections.role_sprawl` for the formula."""

    least_roles: int = 8
    times_peers: float = 2.0
    peers_deviations: float = 3.0
    least_peers: int = 5
    lonely_roles: int = 15
    unused_days: int = 90
    growth_days: int = 30
    growth_roles: int = 5


@dataclass(frozen=True)
class ExplosionLimits:
    """When a team has too many roles; see `detections.role_explosion` for the formulas."""

    least_roles: int = 30
    share: float = 0.5
    new_days: int = 7
    settled_days: int = 30


@dataclass(frozen=True)
class FlappingLimits:
    """When a role comes and goes too often or too fast; see `detections.flapping`."""

    times: int = 3
    within_hours: int = 4
    brief_minutes: int = 10


@dataclass(frozen=True)
class ChangeWindow:
    """When certain changes are to be made; see `detections.outside_change_window`.

    `actions`, `environments` and `emergency_tickets` are patterns, `hours` are of `schemas.hours`, and
    `closed` are days as YYYY-MM-DD on which the hours do not count.
    """

    name: str
    actions: tuple[str, ...]
    environments: tuple[str, ...]
    hours: tuple[str, ...]
    closed: tuple[str, ...] = ()
    emergency_tickets: tuple[str, ...] = ()


@dataclass(frozen=True)
class LineageLimits:
    """How far keys may issue keys; see `detections.key_lineage` and `detections.orphaned_child_key`."""

    most_depth: int = 2
    grace_days: int = 7
    compromise_reasons: tuple[str, ...] = ("*compromis*", "*leak*", "*stolen*", "*lost*", "*phish*")

    def is_compromise(self, reason: str | None) -> bool:
        """Whether a key that was revoked for this reason was in wrong hands."""
        return bool(reason) and matches_any(self.compromise_reasons, reason or "")


@dataclass(frozen=True)
class OrphanLimits:
    """What may outlive whom; see `detections.orphaned_key` and `detections.orphaned_access`."""

    grace_days: int = 1
    access_days: int = 7


@dataclass(frozen=True)
class MoverLimits:
    """How long who changes teams may keep its roles; see `detections.mover_keeps_roles`."""

    grace_days: int = 14
    common_roles: tuple[str, ...] = (
        "workplace-*",
        "*everyone*",
        "*all-staff*",
        "*employee*",
        "*birthright*",
        "*baseline*",
    )


@dataclass(frozen=True)
class Signing:
    """Whose events must be signed, as patterns of key ids and of services."""

    keys: tuple[str, ...] = ()
    services: tuple[str, ...] = ()


@dataclass(frozen=True)
class AutoSuspend:
    """Rules whose critical findings suspend their key by themselves, so many keys an hour at most."""

    rules: tuple[str, ...] = ()
    most_an_hour: int = 3


@dataclass(frozen=True)
class Exemption:
    """An exception: findings of a rule that `owner` answers for.

    `entity` and `cause` are patterns.  `until` is its last day, as YYYY-MM-DD, UTC.
    """

    rule: str
    entity: str
    owner: str
    reason: str
    until: str
    cause: str = "*"


@dataclass(frozen=True)
class SeverityShift:
    """How many steps a finding's severity is raised, or lowered where `by` is negative.

    It is about events of these environments and verdicts of these rules, both patterns; with `privileged`
    about events alone whose role is a privileged one.
    """

    by: int
    rules: tuple[str, ...] = ("*",)
    environments: tuple[str, ...] = ("*",)
    privileged: bool = False


@dataclass(frozen=True)
class CustomRule:
    """A rule of the policy's own; see `custom.expression` and `custom.template`.

    `when` is CEL.  `entity` says what a finding is about: subject, key or actor.  `actions` are patterns.
    """

    name: str
    when: str
    summary: str
    severity: str = "medium"
    entity: str = "subject"
    cause: str = ""
    remedy: str = ""
    actions: tuple[str, ...] = ("*",)


@dataclass(frozen=True)
class RuleSetting:
    """What is set for one rule of the catalogue: off, or of another severity than its own (None: its own)."""

    name: str
    enabled: bool = True
    severity: str | None = None


@dataclass(frozen=True)
class Policy:
    """Parameters of every rule.  Patterns hold `*` and `?` and ignore case."""

    privileged_roles: tuple[str, ...] = (
        "*admin*",
        "*fullaccess*",
        "*poweruser*",
        "*superuser*",
        "root",
        "owner",
        "*:*",
    )
    privileged_permissions: tuple[str, ...] = ()
    # What lets its holder give itself more.
    escalation_permissions: tuple[str, ...] = (
        "iam:Attach*Policy",
        "iam:Put*Policy",
        "iam:CreatePolicyVersion",
        "iam:SetDefaultPolicyVersion",
        "iam:UpdateAssumeRolePolicy",
        "iam:CreateAccessKey",
        "iam:*LoginProfile",
        "iam:AddUserToGroup",
        "iam:PassRole",
        "*.grant-roles",
        "*.issue-keys",
    )
    roles: tuple[DescribedRole, ...] = ()
    separations: tuple[Separation, ...] = (
        Separation(
            "payments",
            ("*-payment-creator",),
            ("*-payment-approver",),
            ("*.payment.create",),
            ("*.payment.approve",),
        ),
        Separation("code and release", ("*-code-author",), ("*-release-approver",)),
    )
    sprawl: SprawlLimits = field(default_factory=SprawlLimits)
    explosion: ExplosionLimits = field(default_factory=ExplosionLimits)
    flapping: FlappingLimits = field(default_factory=FlappingLimits)
    movers: MoverLimits = field(default_factory=MoverLimits)
    change_windows: tuple[ChangeWindow, ...] = (
        ChangeWindow(
            "production policies",
            actions=("update_trust", "update_policy"),
            environments=("production",),
            hours=("Mon-Fri 06:00-20:00 UTC",),
            emergency_tickets=("INC-*", "SEV-*"),
        ),
    )
    lineage: LineageLimits = field(default_factory=LineageLimits)
    orphans: OrphanLimits = field(default_factory=OrphanLimits)
    burst: BurstLimits = field(default_factory=BurstLimits)
    refusals: RefusalLimits = field(default_factory=RefusalLimits)
    dormancy: DormancyLimits = field(default_factory=DormancyLimits)
    networks: NetworkLimits = field(default_factory=NetworkLimits)
    sharing: SharingLimits = field(default_factory=SharingLimits)
    cadence: CadenceLimits = field(default_factory=CadenceLimits)
    travel: TravelLimits = field(default_factory=TravelLimits)
    reviews: ReviewLimits = field(default_factory=ReviewLimits)
    silence: SilenceLimits = field(default_factory=SilenceLimits)
    sequences: SequenceLimits = field(default_factory=SequenceLimits)
    signing: Signing = field(default_factory=Signing)
    auto_suspend: AutoSuspend = field(default_factory=AutoSuspend)
    # By name; a rule that is not among them is as it comes.
    rules: tuple[RuleSetting, ...] = ()
    exceptions: tuple[Exemption, ...] = ()
    custom_rules: tuple[CustomRule, ...] = ()
    severity_shifts: tuple[SeverityShift, ...] = ()

    @cached_property
    def role_model(self) -> RoleModel:
        """The described roles, taken apart."""
        return RoleModel(self.roles)

    @cached_property
    def duties(self) -> Duties:
        """Which duties each role is of."""
        return Duties(self.separations, self.role_model)

    @cached_property
    def version(self) -> str:
        """Twelve hex digits of the policy's digest: the same content has the same version."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]
