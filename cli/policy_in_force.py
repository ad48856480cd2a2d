"""The policy that a worker goes by: of a file, or built in, with what the settings say of signing."""

from dataclasses import replace
from pathlib import Path

from keytrail.schemas.errors import UsageError
from keytrail.schemas.settings import KafkaSettings, configured, find_policy_file
from keytrail.stream.policies.file import read_policy
from keytrail.stream.policies.policy import Policy, Signing
from keytrail.stream.policies.policy_feed import applied_policies
from keytrail.stream.policies.timeline import Timeline


def policy_of(file: Path | None) -> Policy:
    """The policy of this file, or the built-in one.  Where it says nothing of signing, the settings do."""
    policy = read_policy(file) if file is not None else Policy()
    return policy if policy.signing != Signing() else replace(policy, signing=settings_signing())


def policy_in_force(kafka: KafkaSettings) -> Policy:
    """What workers go by: the file that they are told to keep, what was applied last, or the built-in one.

    Raises `UnavailableError` where Kafka is away, and `UnreadablePolicyError`.
    """
    file = find_policy_file(None)
    timeline = Timeline(policy_of(file))
    if file is None:
        for applied in applied_policies(kafka):
            timeline.take(applied)
    return timeline.latest


def refuse_file_beside_applied(kafka: KafkaSettings, file: Path, policy: Policy) -> None:
    """Raises `UsageError` where another policy than the file's was applied: workers would differ."""
    timeline, applied = Timeline(policy), applied_policies(kafka)
    for one in applied:
        timeline.take(one)
    if timeline.latest.version != policy.version:
        raise UsageError(
            f"Policy {applied[-1].version} was applied by {applied[-1].actor}, and {file} is policy "
            f"{policy.version}.",
            "Start the worker without the file, or apply it: `keytrail policy apply`.",
        )


def settings_signing() -> Signing:
    """Whose events must be signed: `KEYTRAIL_SIGNING_KEYS` and `_SERVICES`, or `[signing]` in the file."""
    keys, services = (
        tuple(pattern.strip() for pattern in configured("signing", name).split(",") if pattern.strip())
        for name in ("keys", "services")
    )
    return Signing(keys, services)
