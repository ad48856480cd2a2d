"""What the rules are tuned by: one frozen value, named by its content."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from functools import cached_property


@dataclass(frozen=True)
class SprawlLimits:
    """When a subject holds too many roles; see `detections.role_sprawl` for the formula."""

    least_roles: int = 8
    times_peers: float = 2.0
    least_peers: int = 5
    lonely_roles: int = 15
    unused_days: int = 90
    growth_days: int = 30
    growth_roles: int = 5


@dataclass(frozen=True)
class Signing:
    """Whose events must be signed, as patterns of key ids and of services."""

    keys: tuple[str, ...] = ()
    services: tuple[str, ...] = ()


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
    sprawl: SprawlLimits = field(default_factory=SprawlLimits)
    signing: Signing = field(default_factory=Signing)

    @cached_property
    def version(self) -> str:
        """Twelve hex digits of the policy's digest: the same content has the same version."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]
