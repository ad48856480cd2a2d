"""The form of a policy file: every field with its shape and meaning.

What reads a file, writes one and describes it goes by this table.
"""

from operator import attrgetter
from typing import Any

from keytrail.stream.access.role import KEPT_TURNS
from keytrail.stream.detections.catalogue import RULES
from keytrail.stream.detections.verdict import SEVERITIES
from keytrail.stream.keys.lineage import MOST_ANCESTORS
from keytrail.stream.policies.composites import Field, Record, RuleSettings, Several, patterns
from keytrail.stream.policies.conduct import CONDUCT
from keytrail.stream.policies.custom_shapes import CustomName, RuleName, condition, template
from keytrail.stream.policies.policy import (
    AutoSuspend,
    ChangeWindow,
    CustomRule,
    Exemption,
    ExplosionLimits,
    FlappingLimits,
    LineageLimits,
    MoverLimits,
    OrphanLimits,
    Policy,
    SeverityShift,
    Signing,
    SprawlLimits,
)
from keytrail.stream.policies.reviews import REVIEWS
from keytrail.stream.policies.roles import ROLES
from keytrail.stream.policies.sequences import SEQUENCES
from keytrail.stream.policies.shapes import Day, Decimal, Flag, OfficeHours, OneOf, Only, Schema, Text, Whole
from keytrail.stream.policies.silence import SILENCE

VERSION = 1
_ADDRESS = "https://json-schema.org/draft/2020-12/schema"


def _policy(version: int, **fields: Any) -> Policy:  # noqa: ARG001  # the form's version is none of the policy's
    return Policy(**fields)


_SPRAWL = Record(
    SprawlLimits,
    {
        "least_roles": Field(Whole(1, 1_000), "Fewer roles than this are never too many."),
        "times_peers": Field(
            Decimal(1, 100), "So many times the median of the team's members are too many roles."
        ),
        "peers_deviations": Field(
            Decimal(0, 100),
            "And so many deviations above it, where the members of the team differ.",
        ),
        "least_peers": Field(
            Whole(1, 10_000), "A team of fewer members does not say what is usual; `lonely_roles` does."
        ),
        "lonely_roles": Field(Whole(1, 1_000), "So many roles are too many where the team is too small."),
        "unused_days": Field(Whole(1, 3_650), "A role that was not used for so many days counts as unused."),
        "growth_days": Field(Whole(1, 3_650), "Roles granted within so many days count as new."),
        "growth_roles": Field(Whole(1, 1_000), "So many new roles are fast growth."),
    },
)

_EXPLOSION = Record(
    ExplosionLimits,
    {
        "least_roles": Field(Whole(2, 100_000), "Fewer roles of a kind than this are never too many."),
        "share": Field(Decimal(0, 1), "Nor are those that are a smaller share of the team's roles."),
        "new_days": Field(Whole(1, 365), "Roles that came within so many days of each other count as new."),
        "settled_days": Field(
            Whole(0, 365),
            "New ones are too many only in a team that was known for so many days before.",
        ),
    },
)

_FLAPPING = Record(
    FlappingLimits,
    {
        "times": Field(Whole(2, KEPT_TURNS // 2), "A role that came and went so often is flapping."),
        "within_hours": Field(Whole(1, 720), "So often within so many hours."),
        "brief_minutes": Field(
            Whole(1, 1_440), "A privileged role that was held for so many minutes or fewer is flapping."
        ),
    },
)

_MOVERS = Record(
    MoverLimits,
    {
        "grace_days": Field(
            Whole(0, 3_650), "Who changed teams may keep its roles for so many days after it was last seen."
        ),
        "common_roles": Field(
            patterns("a role's pattern", "workplace-*"), "Roles that are of no team: everybody keeps them."
        ),
    },
)

_LINEAGE = Record(
    LineageLimits,
    {
        "most_depth": Field(Whole(1, MOST_ANCESTORS), "A key may have so many keys above it, and no more."),
        "grace_days": Field(
            Whole(0, 3_650), "A key may be used for so many days after one above it was revoked."
        ),
        "compromise_reasons": Field(
            patterns("a reason's pattern", "*leak*"), "Revoked for such a reason there is no grace."
        ),
    },
)

_ORPHANS = Record(
    OrphanLimits,
    {
        "grace_days": Field(Whole(0, 3_650), "A key may be used for so many days after its owner left."),
        "access_days": Field(
            Whole(0, 3_650), "Grants of so many days before a key's end are not to outlive it."
        ),
    },
)

_CHANGE_WINDOW = Record(
    ChangeWindow,
    {
        "name": Field(Text("a name", "production"), "What the window is called in findings.", True),
        "actions": Field(patterns("an action's pattern", "update_*", 1), "Which changes are meant.", True),
        "environments": Field(
            patterns("an environment's pattern", "production", 1), "In which environments.", True
        ),
        "hours": Field(Several(OfficeHours(), 1), "When they are to be made.", True),
        "closed": Field(Several(Day()), "Days that do not count, in the time zone of the hours."),
        "emergency_tickets": Field(
            patterns("a ticket's pattern", "INC-*"), "With such a ticket changes may be made at any time."
        ),
    },
)

_SIGNING = Record(
    Signing,
    {
        "keys": Field(patterns("a key's pattern", "ci-*"), "Keys with which every event must be signed."),
        "services": Field(
            patterns("a service's pattern", "billing-*"), "Services that must sign every event."
        ),
    },
)

_AUTO_SUSPEND = Record(
    AutoSuspend,
    {
        "rules": Field(
            Several(OneOf(tuple(RULES))), "Rules whose critical findings suspend their key by themselves."
        ),
        "most_an_hour": Field(Whole(1, 1_000), "So many keys are suspended so within an hour, and no more."),
    },
)

_RULES = RuleSettings(
    {rule.name: rule.severity for rule in RULES.values()},
    {
        "enabled": Field(Flag(), "False turns the rule off: it finds nothing."),
        "severity": Field(OneOf(SEVERITIES), "Takes the place of the rule's own severity."),
    },
)

_EXCEPTION = Record(
    Exemption,
    {
        "rule": Field(RuleName(), "The rule whose findings are meant.", True),
        "entity": Field(Text("an entity's pattern", "deploy-*"), "What they are about.", True),
        "cause": Field(Text("a cause's pattern", "*-reader"), "What about it."),
        "owner": Field(Text("a name", "carol"), "Who answers for it.", True),
        "reason": Field(Text("a reason", "until the second team is hired"), "Why.", True),
        "until": Field(Day(), "The last day on which it holds, UTC.", True),
    },
)

_CUSTOM_RULE = Record(
    CustomRule,
    {
        "name": Field(CustomName(), "What the rule is called; it begins with custom_.", True),
        "when": Field(condition(), "The condition, in CEL, over event, key and access.", True),
        "summary": Field(template(), "What happened, in a sentence with fields in braces.", True),
        "severity": Field(OneOf(SEVERITIES), "How bad it is."),
        "entity": Field(OneOf(("subject", "key", "actor")), "What a finding is about."),
        "cause": Field(template(least=0), "What of it: events of one entity and cause are one finding."),
        "remedy": Field(template(least=0), "What to do."),
        "actions": Field(patterns("an action's pattern", "grant", 1), "Of which events it is asked."),
    },
)

_SEVERITY_SHIFT = Record(
    SeverityShift,
    {
        "by": Field(Whole(-3, 3), "So many steps higher; below 0, so many lower.", True),
        "rules": Field(patterns("a rule's pattern", "unknown_key", 1), "Of which rules."),
        "environments": Field(
            patterns("an environment's pattern", "production", 1),
            "In which environments the event happened.",
        ),
        "privileged": Field(Flag(), "True: only where the event's role is a privileged one."),
    },
)

FORM = Record(
    _policy,
    {
        "version": Field(Only(VERSION), "The form of the file.", True),
        **ROLES,
        "sprawl": Field(_SPRAWL, "When a subject holds too many roles."),
        "explosion": Field(_EXPLOSION, "When a team has too many roles."),
        "flapping": Field(_FLAPPING, "When a role comes and goes too often or too fast."),
        "movers": Field(_MOVERS, "How long who changes teams may keep its roles."),
        "change_windows": Field(
            Several(_CHANGE_WINDOW, name_of=attrgetter("name")), "When certain changes are to be made."
        ),
        "lineage": Field(_LINEAGE, "How far keys may issue keys, and what becomes of them."),
        "orphans": Field(_ORPHANS, "What may outlive a key's owner, and what a key."),
        **CONDUCT,
        "reviews": Field(REVIEWS, "How soon break-glass uses are to be reviewed."),
        "silence": Field(SILENCE, "When a service that always reports is missed."),
        "sequences": Field(SEQUENCES, "When numbers that producers give their events are missing."),
        "signing": Field(_SIGNING, "Whose events must be signed."),
        "auto_suspend": Field(_AUTO_SUSPEND, "What `keytrail suspender` may suspend keys for."),
        "rules": Field(_RULES, "Rules that are off, or of another severity than their own."),
        "exceptions": Field(
            Several(_EXCEPTION), "Findings that somebody answers for: they are told as suppressed."
        ),
        "severity_shifts": Field(
            Several(_SEVERITY_SHIFT), "By environment and privilege; the first one that fits counts."
        ),
        "custom_rules": Field(Several(_CUSTOM_RULE, name_of=attrgetter("name")), "Rules of your own."),
    },
)


def plain(policy: Policy) -> dict[str, Any]:
    """The whole policy as mappings, lists, text and numbers, as a file has it."""
    return FORM.plain(policy)


def json_schema() -> Schema:
    """JSON Schema 2020-12 of the file, with the defaults of the built-in policy."""
    schema = FORM.schema()
    _add_defaults(schema, plain(Policy()))
    return {"$schema": _ADDRESS, "title": "A policy of keytrail", **schema}


def _add_defaults(schema: dict[str, Any], defaults: dict[str, Any]) -> None:
    for name, value in defaults.items():
        described = schema["properties"][name]
        if "properties" in described:
            _add_defaults(described, value)
        elif "const" not in described:
            described["default"] = value
