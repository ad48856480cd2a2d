"""The policy that a worker goes by: of a file, or built in, with what the settings say of signing."""

from dataclasses import replace
from pathlib import Path

from keytrail.schemas.settings import configured
from keytrail.stream.policies.file import read_policy
from keytrail.stream.policy import Policy, Signing


def policy_of(file: Path | None) -> Policy:
    """The policy of this file, or the built-in one.  Where it says nothing of signing, the settings do."""
    policy = read_policy(file) if file is not None else Policy()
    return policy if policy.signing != Signing() else replace(policy, signing=_signing())


def _signing() -> Signing:
    """Whose events must be signed: `KEYTRAIL_SIGNING_KEYS` and `_SERVICES`, or `[signing]` in the file."""
    keys, services = (
        tuple(pattern.strip() for pattern in configured("signing", name).split(",") if pattern.strip())
        for name in ("keys", "services")
    )
    return Signing(keys, services)
