"""What a permission lets its holder do, where it ends in `*` or a policy names it by a pattern."""

from collections.abc import Sequence

from keytrail.stream.policies.patterns import matches_any


def reaches(permission: str, patterns: Sequence[str]) -> bool:
    """True for a permission like one of the patterns, and for one that covers such: `*`, `iam:Pass*`."""
    if matches_any(patterns, permission):
        return True
    begin, star, rest = permission.lower().partition("*")
    return bool(star) and not rest.strip("*:") and any(p.lower().startswith(begin) for p in patterns)
