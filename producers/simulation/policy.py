"""The policy of the simulated company's own: what is in its roles and groups, and what is kept apart."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from keytrail.producers.simulation.roles import WORKPLACE, Role


@dataclass(frozen=True)
class Described:
    """A role or group with the names of those within it."""

    role: Role
    includes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Apart:
    """Two kinds of roles that nobody may hold together; `where`: in which environments, or within each."""

    name: str
    first: str
    second: str
    where: dict[str, object]


@dataclass(frozen=True)
class Excepted:
    """A finding that somebody answers for until a day; `entity` and `cause` are patterns."""

    rule: str
    entity: str
    cause: str
    until: str


EXPORTS = Apart("exports", "export-maker", "export-checker", {"environments": ["production"]})
PIPELINES = Apart("pipelines", "pipeline-author", "pipeline-runner", {"within": "environment"})
# A kind of service that signs all that it sends.
VAULT = "vault"

# Those that a policy has which names none.
_USUAL: tuple[dict[str, object], ...] = (
    {
        "name": "payments",
        "first": ["*-payment-creator"],
        "second": ["*-payment-approver"],
        "first_permissions": ["*.payment.create"],
        "second_permissions": ["*.payment.approve"],
    },
    {"name": "code and release", "first": ["*-code-author"], "second": ["*-release-approver"]},
)


def policy_text(
    daily: Iterable[Role],
    described: Iterable[Described],
    signing_keys: Sequence[str],
    exceptions: Iterable[Excepted],
) -> str:
    """As a policy file; `daily` are the roles that people work with."""
    roles = [Described(WORKPLACE), *map(Described, daily), *described]
    policy = {
        "version": 1,
        "roles": [
            {"name": one.role.name, "permissions": one.role.permissions, "includes": list(one.includes)}
            for one in roles
        ],
        "separations": [
            *_USUAL,
            *(
                {
                    "name": apart.name,
                    "first": [f"*-{apart.first}"],
                    "second": [f"*-{apart.second}"],
                    **apart.where,
                }
                for apart in (EXPORTS, PIPELINES)
            ),
        ],
        "signing": {"services": [f"*-{VAULT}"], "keys": signing_keys},
        "exceptions": [
            {**vars(one), "owner": "security-office", "reason": "until the next reorganisation"}
            for one in exceptions
        ],
    }
    return json.dumps(policy, indent=1) + "\n"  # JSON is YAML too
