"""CloudTrail's `userIdentity`: who acted, and with which key.

Source: the CloudTrail User Guide, "CloudTrail userIdentity element".
"""

from dataclasses import dataclass

from keytrail.producers.cloudtrail.jsonvalue import JsonObject, text_at

_ACTOR_TYPES = {
    "Root": "human",
    "IAMUser": "human",
    "IdentityCenterUser": "human",
    "SAMLUser": "human",
    "Directory": "human",
}
_TEMPORARY = "ASIA"
# Roles that IAM Identity Center makes; their sessions are people, named by the session.
_PEOPLE_ROLE = "AWSReservedSSO_"


@dataclass(frozen=True)
class Identity:
    """As in an event: `key_id` is None where no access key was used."""

    actor_id: str
    actor_type: str
    key_id: str | None
    key_alias: str | None
    session: str | None


def identity_of(record: JsonObject, otherwise: str) -> Identity:
    """Who acted; `otherwise` names the actor where the record does not."""
    arn = text_at(record, "userIdentity", "arn")
    issuer_arn = text_at(record, "userIdentity", "sessionContext", "sessionIssuer", "arn")
    kind = text_at(record, "userIdentity", "type")
    session = arn.rpartition("/")[2] if arn and ":assumed-role/" in arn else None
    actor_id = _actor(record, kind, arn, session)
    person = kind in _ACTOR_TYPES or (actor_id is not None and actor_id == session)

    # Temporary credentials change by the hour: what they are tied to is who or what issued them.
    access_key = text_at(record, "userIdentity", "accessKeyId")
    temporary = access_key is not None and access_key.startswith(_TEMPORARY)
    return Identity(
        actor_id=actor_id or otherwise,
        actor_type="human" if person else "service" if actor_id else "system",
        key_id=(issuer_arn or arn) if temporary else access_key,
        key_alias=access_key if temporary else None,
        session=session,
    )


def _actor(record: JsonObject, kind: str | None, arn: str | None, session: str | None) -> str | None:
    if kind == "Root":
        return "root"
    if kind == "AssumedRole":
        role = text_at(record, "userIdentity", "sessionContext", "sessionIssuer", "userName")
        role = role or (arn.split("/")[1] if arn and session else None)
        if role and role.startswith(_PEOPLE_ROLE) and session:
            return session
        if role:
            return role
    return (
        text_at(record, "userIdentity", "userName")
        or (name_in_arn(arn) if arn else None)
        or text_at(record, "userIdentity", "onBehalfOf", "userId")
        or text_at(record, "userIdentity", "invokedBy")
        or text_at(record, "userIdentity", "principalId")
        or text_at(record, "userIdentity", "accountId")
    )


def name_in_arn(arn: str) -> str:
    """The plain name at an ARN's end, without its path: `arn:aws:iam::aws:policy/job/X` is `X`."""
    return arn.rpartition("/")[2] or arn if "/" in arn else arn.rpartition(":")[2] or arn
