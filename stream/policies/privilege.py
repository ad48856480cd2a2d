"""Which roles are privileged: by their name, by a role or group within them, or by what they permit."""

from collections.abc import Iterable

from keytrail.stream.policies.patterns import matches_any
from keytrail.stream.policies.policy import Policy


def is_privileged(role: str, stated: Iterable[str], policy: Policy) -> bool:
    """`stated` are the permissions that are known of the role besides those that the policy describes."""
    model = policy.role_model
    if any(matches_any(policy.privileged_roles, name) for name in model.within(role)):
        return True
    patterns = policy.privileged_permissions
    return bool(patterns) and any(matches_any(patterns, p) for p in model.permissions(role, stated))
