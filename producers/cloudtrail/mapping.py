"""One CloudTrail record into one event.

Source: the CloudTrail User Guide, "CloudTrail record contents".
"""

import json
import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import ip_address

from keytrail.producers.clock import to_micros
from keytrail.producers.cloudtrail.identity import identity_of, name_in_arn
from keytrail.producers.cloudtrail.jsonvalue import Json, JsonObject, at, text_at
from keytrail.producers.cloudtrail.meanings import MEANINGS, USE
from keytrail.producers.cloudtrail.policy_document import allowed_actions
from keytrail.schemas.errors import KeytrailError
from keytrail.schemas.records import Event, Micros

# For the ids of records that have none of their own.
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "keytrail:cloudtrail")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DENIED = re.compile(
    r"access_?denied|not_?authori[sz]ed|unauthori[sz]ed|forbidden|authfailure", re.IGNORECASE
)
# A refused AssumeRole comes without parameters; only the message says which role it was about.
_REFUSED_ROLE = re.compile(r"\barn:[\w-]+:iam::\d+:role/[^\s\"']+")

_ATTRIBUTES: Mapping[str, tuple[str, ...]] = {
    "eventName": ("eventName",),
    "eventSource": ("eventSource",),
    "eventType": ("eventType",),
    "region": ("awsRegion",),
    "account": ("recipientAccountId",),
    "readOnly": ("readOnly",),
    "sharedEventID": ("sharedEventID",),
    "vpcEndpointId": ("vpcEndpointId",),
    "invokedBy": ("userIdentity", "invokedBy"),
    "sourceIdentity": ("userIdentity", "sessionContext", "sourceIdentity"),
    "mfaAuthenticated": ("userIdentity", "sessionContext", "attributes", "mfaAuthenticated"),
    "MFAUsed": ("additionalEventData", "MFAUsed"),
}


class RecordError(KeytrailError):
    """A record lacks what every event must have."""


def event_from(record: JsonObject) -> Event:
    """The record as an event; the same record always gives an equal event.

    What the record does not say stays None.  Request and response parameters are not copied
    but for those that the table of meanings names, so that no credentials get into events.
    Raises `RecordError` for a record without a time, a source or a name.
    """
    occurred_at = _time(record)
    source = _required(record, "eventSource")
    name = _required(record, "eventName")
    service = source.removesuffix(".amazonaws.com")
    account = text_at(record, "recipientAccountId") or text_at(record, "userIdentity", "accountId")
    who = identity_of(record, otherwise=service)
    meaning = MEANINGS.get((source, name), USE)
    outcome, error = _outcome(record)

    resource = meaning.resource(record) or _first_resource(record)
    role = meaning.role(record)
    if meaning.action == "login" and outcome == "denied" and role is None:
        refused = _REFUSED_ROLE.search(error or "")
        resource = refused[0] if refused else resource
        role = name_in_arn(refused[0]) if refused else None

    address = text_at(record, "sourceIPAddress")
    attributes = {key: text for key, path in _ATTRIBUTES.items() if (text := text_at(record, *path))}
    attributes |= {key: text for key, pick in meaning.attributes.items() if (text := pick(record))}
    if who.session:
        attributes["sessionName"] = who.session
    if address and not _is_address(address):
        attributes["sourceIPAddress"] = address

    return Event(
        event_id=_event_id(record),
        occurred_at=occurred_at,
        recorded_at=occurred_at,
        service=service,
        environment=account,
        actor_id=who.actor_id,
        actor_type=who.actor_type,
        key_id=who.key_id,
        key_alias=who.key_alias,
        action=meaning.instead.get(meaning.depending_on(record) or "", meaning.action),
        subject=meaning.subject(record) or (who.actor_id if meaning.own else None),
        role=role,
        permissions=allowed_actions(meaning.policy(record)),
        resource=resource,
        outcome=outcome,
        error=error,
        source_ip=address if address and _is_address(address) else None,
        user_agent=text_at(record, "userAgent"),
        correlation_id=text_at(record, "requestID"),
        after=meaning.after(record),
        attributes=attributes,
        producer_id=f"cloudtrail:{account or 'unknown'}",
    )


def _required(record: JsonObject, name: str) -> str:
    if (found := text_at(record, name)) is not None:
        return found
    raise RecordError(f"it is no CloudTrail record: {name} is missing.")


def _time(record: JsonObject) -> Micros:
    text = _required(record, "eventTime")
    try:
        moment = datetime.fromisoformat(text)
        return to_micros(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError) as error:
        raise RecordError("its eventTime is not a time.") from error


def _event_id(record: JsonObject) -> str:
    given = (text_at(record, "eventID") or "").lower()
    if _UUID.fullmatch(given):
        return given
    try:
        canonical = json.dumps(record, sort_keys=True, separators=(",", ":"))
    except RecursionError as error:
        raise RecordError("it has no eventID and is nested too deeply.") from error
    return str(uuid.uuid5(_NAMESPACE, canonical))


def _outcome(record: JsonObject) -> tuple[str, str | None]:
    code = text_at(record, "errorCode")
    message = text_at(record, "errorMessage")
    error = ": ".join(text for text in (code, message) if text) or None
    if text_at(record, "responseElements", "ConsoleLogin") == "Failure":
        return "denied", error  # the only refusal that comes without a code
    if code is None:
        return "success", error
    return ("denied" if _DENIED.search(code) else "failure"), error


def _first_resource(record: JsonObject) -> str | None:
    resources: Json = at(record, "resources")
    return text_at(resources[0], "ARN") if isinstance(resources, list) and resources else None


@lru_cache(maxsize=4096)
def _is_address(text: str) -> bool:
    """Calls made by AWS itself name a service where the address stands."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
