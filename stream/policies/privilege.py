"""Which roles are privileged: by their name, by a role or group within them, or by what they permit.

And which keys: by what their scope names.
"""

from collections.abc import Iterable
from functools import lru_cache

from keytrail.schemas.records import Key
from keytrail.stream.conduct.deeds import GIVES
from keytrail.stream.policies.patterns import matches_any
from keytrail.stream.policies.policy import Policy


def is_privileged(role: str, stated: Iterable[str], policy: Policy) -> bool:
    """`stated` are the permissions that are known of the role besides those that the policy describes."""
    model = policy.role_model
    if any(matches_any(policy.privileged_roles, name) for name in model.within(role)):
        return True
    patterns = policy.privileged_permissions
    return bool(patterns) and any(matches_any(patterns, p) for p in model.permissions(role, stated))


def is_privileged_key(key: Key, policy: Policy) -> bool:
    """Whether its scope names such a role, or actions that give access and not which.

    A pattern of roles counts where it reads like one of them, or lets the bare name of one through, as `*`
    does.  A key without a scope is none: nobody said what it is for.
    """
    if key.scope_roles:
        bare = _bare(policy.privileged_roles)
        return any(
            is_privileged(role, (), policy) or any(matches_any((role,), name) for name in bare)
            for role in key.scope_roles
        )
    return bool(key.scope_actions) and any(matches_any(key.scope_actions, action) for action in GIVES)


@lru_cache
def _bare(patterns: tuple[str, ...]) -> tuple[str, ...]:
    """The shortest names that the patterns match."""
    return tuple(name for pattern in patterns if (name := pattern.replace("*", "").replace("?", "x")))
