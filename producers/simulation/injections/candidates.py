"""Whom an anomaly may happen to."""

from keytrail.producers.simulation.company import Member


def person(member: Member) -> bool:
    """An employee of an ordinary team, whose key is scoped by environment and network alone."""
    return (
        member.is_human and member.team.kind == "ordinary" and not member.is_lead and not member.is_contractor
    )


def contractor(member: Member) -> bool:
    """Somebody whose key is good for certain hours."""
    return member.is_contractor


def service(member: Member) -> bool:
    return not member.is_human


def in_small_team(member: Member) -> bool:
    return member.team.kind == "small" and not member.is_lead


def in_broad_team(member: Member) -> bool:
    return member.team.kind == "broad" and not member.is_lead
