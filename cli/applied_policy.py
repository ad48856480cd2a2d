"""`keytrail policy apply`, `show` and `history`: the policy that all workers go by, and those before it."""

import argparse
import getpass
import sys

from keytrail.cli.keys.admin import Admin
from keytrail.cli.moments import show_moment
from keytrail.cli.options import settings_from
from keytrail.cli.output import print_json, print_table, progress
from keytrail.cli.policy_in_force import policy_in_force, settings_signing
from keytrail.producers.clock import system_clock
from keytrail.producers.ids import UuidV7
from keytrail.producers.key_log import read_keys
from keytrail.producers.policy_log import PolicyLog
from keytrail.schemas.applied import ACTION, SERVICE, AppliedPolicy
from keytrail.schemas.errors import UsageError
from keytrail.schemas.records import Event
from keytrail.schemas.topics import EVENTS
from keytrail.stream.policies.file import parse_policy, policy_text, text_of
from keytrail.stream.policies.policy import Signing
from keytrail.stream.policies.policy_feed import applied_policies


def apply(options: argparse.Namespace) -> int:
    """Let all workers go by the policy of a file, from the next events on.

    Raises `PolicyError` where the file is wrong, before anything is written.
    """
    settings = settings_from(options, needs=("kafka", "registry"))
    text = text_of(options.file)
    policy = parse_policy(text, str(options.file))
    if policy.signing == Signing() and settings_signing() != Signing():
        raise UsageError(
            "The settings say whose events must be signed, and the file does not: that would end.",
            f"Write it in {options.file}, under signing, or take it out of the settings.",
        )
    before = applied_policies(settings.kafka)
    if before and (before[-1].version, before[-1].text) == (policy.version, text):
        progress(f"Policy {policy.version} is in force already.")
        return 0
    actor, now, new_id = options.actor or getpass.getuser(), system_clock(), UuidV7()
    admin = Admin(settings, actor, options.key)
    applied = AppliedPolicy(
        policy_id=new_id(),
        version=policy.version,
        text=text,
        actor=actor,
        key_id=admin.allowed(ACTION, read_keys(settings), now),
        reason=options.reason,
        ticket=options.ticket,
        applied_at=now,
        counts_from={},
    )

    def announce(partition: int) -> Event:
        return _announcement(applied, new_id(), partition)

    PolicyLog(settings, admin.signer).apply(applied, announce)
    progress(f"Policy {policy.version} is in force from the next events on.")
    return 0


def show(options: argparse.Namespace) -> int:
    """The policy in force, as a file has it; who applied it is said on stderr."""
    settings = settings_from(options, needs=("kafka",))
    policy = policy_in_force(settings.kafka)
    for applied in applied_policies(settings.kafka)[-1:]:
        if applied.version == policy.version:
            when = show_moment(applied.applied_at)
            progress(f"Policy {policy.version}, applied by {applied.actor} at {when}: {applied.reason}")
            break
    else:
        progress(f"Policy {policy.version}: none was applied, or a file takes its place.")
    sys.stdout.write(policy_text(policy))
    return 0


def history(options: argparse.Namespace) -> int:
    """Those that were applied, the first one first."""
    every = applied_policies(settings_from(options, needs=("kafka",)).kafka)
    if options.json:
        print_json({**vars(one), "applied_at": show_moment(one.applied_at)} for one in every)
    else:
        print_table(
            ("applied at", "version", "actor", "key", "ticket", "reason"),
            (
                (show_moment(one.applied_at), one.version, one.actor, one.key_id, one.ticket, one.reason)
                for one in every
            ),
        )
    return 0


def _announcement(applied: AppliedPolicy, event_id: str, partition: int) -> Event:
    """The audited event that stands where the policy begins to count in the partition."""
    return Event(
        event_id=event_id,
        occurred_at=applied.applied_at,
        recorded_at=applied.applied_at,
        service=SERVICE,
        environment=None,
        actor_id=applied.actor,
        actor_type="human",
        key_id=applied.key_id,
        key_alias=None,
        action=ACTION,
        subject=f"{EVENTS.name}/{partition}",
        resource="policy",
        reason=applied.reason,
        ticket=applied.ticket,
        attributes={"policy_version": applied.version, "policy_id": applied.policy_id},
    )
