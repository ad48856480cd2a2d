"""What CloudTrail's events mean for access: the table from an API call to an action.

An event that the table does not name is a `use`.
Source: the IAM and STS API references, for the names of calls and parameters.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from keytrail.producers.cloudtrail.identity import name_in_arn
from keytrail.producers.cloudtrail.jsonvalue import JsonObject, text_at

Pick = Callable[[JsonObject], str | None]


def _request(*path: str) -> Pick:
    return lambda record: text_at(record, "requestParameters", *path)


def _response(*path: str) -> Pick:
    return lambda record: text_at(record, "responseElements", *path)


def _name_in(pick: Pick) -> Pick:
    return lambda record: name_in_arn(arn) if (arn := pick(record)) else None


def _constant(text: str) -> Pick:
    return lambda _record: text


def _nothing(_record: JsonObject) -> None:
    return None


@dataclass(frozen=True)
class Meaning:
    """How an event's fields are taken from a record.

    `policy` is the policy document whose allowed actions become the permissions.
    `own` says that without a subject the actor is meant.  `instead` gives other actions for
    some values of `depending_on`.
    """

    action: str
    subject: Pick = _nothing
    own: bool = False
    role: Pick = _nothing
    resource: Pick = _nothing
    policy: Pick = _nothing
    after: Pick = _nothing
    attributes: Mapping[str, Pick] = field(default_factory=dict)
    depending_on: Pick = _nothing
    instead: Mapping[str, str] = field(default_factory=dict)


USE = Meaning("use")

_USER, _ROLE, _GROUP = _request("userName"), _request("roleName"), _request("groupName")
_PROFILE = _request("instanceProfileName")
_POLICY_ARN = _request("policyArn")
_POLICY_NAME = _request("policyName")
_DOCUMENT = _request("policyDocument")
_ACCESS_KEY, _LOGIN_PROFILE = _constant("access key"), _constant("login profile")
_KEY_ID = {"affected_key": _request("accessKeyId")}


def _managed(action: str, subject: Pick) -> Meaning:
    return Meaning(action, subject, role=_name_in(_POLICY_ARN), resource=_POLICY_ARN)


def _assumed(role_arn: Pick) -> Meaning:
    return Meaning("login", role=_name_in(role_arn), resource=role_arn)


_IAM = {
    "AttachRolePolicy": _managed("grant", _ROLE),
    "AttachUserPolicy": _managed("grant", _USER),
    "AttachGroupPolicy": _managed("grant", _GROUP),
    "DetachRolePolicy": _managed("revoke", _ROLE),
    "DetachUserPolicy": _managed("revoke", _USER),
    "DetachGroupPolicy": _managed("revoke", _GROUP),
    "PutRolePolicy": Meaning("grant", _ROLE, role=_POLICY_NAME, policy=_DOCUMENT),
    "PutUserPolicy": Meaning("grant", _USER, role=_POLICY_NAME, policy=_DOCUMENT),
    "PutGroupPolicy": Meaning("grant", _GROUP, role=_POLICY_NAME, policy=_DOCUMENT),
    "DeleteRolePolicy": Meaning("revoke", _ROLE, role=_POLICY_NAME),
    "DeleteUserPolicy": Meaning("revoke", _USER, role=_POLICY_NAME),
    "DeleteGroupPolicy": Meaning("revoke", _GROUP, role=_POLICY_NAME),
    "AddUserToGroup": Meaning("grant", _USER, role=_GROUP),
    "RemoveUserFromGroup": Meaning("revoke", _USER, role=_GROUP),
    "AddRoleToInstanceProfile": Meaning("grant", _PROFILE, role=_ROLE),
    "RemoveRoleFromInstanceProfile": Meaning("revoke", _PROFILE, role=_ROLE),
    "CreateUser": Meaning("create", _USER, resource=_response("user", "arn")),
    "CreateRole": Meaning(
        "create", _ROLE, resource=_response("role", "arn"), after=_request("assumeRolePolicyDocument")
    ),
    "CreateGroup": Meaning("create", _GROUP, resource=_response("group", "arn")),
    "CreatePolicy": Meaning(
        "create", role=_POLICY_NAME, resource=_response("policy", "arn"), policy=_DOCUMENT, after=_DOCUMENT
    ),
    "CreatePolicyVersion": Meaning(
        "update", role=_name_in(_POLICY_ARN), resource=_POLICY_ARN, policy=_DOCUMENT, after=_DOCUMENT
    ),
    "SetDefaultPolicyVersion": Meaning("update", role=_name_in(_POLICY_ARN), resource=_POLICY_ARN),
    "CreateInstanceProfile": Meaning("create", _PROFILE, resource=_response("instanceProfile", "arn")),
    "DeleteUser": Meaning("delete", _USER),
    "DeleteRole": Meaning("delete", _ROLE),
    "DeleteGroup": Meaning("delete", _GROUP),
    "DeletePolicy": Meaning("delete", role=_name_in(_POLICY_ARN), resource=_POLICY_ARN),
    "DeleteInstanceProfile": Meaning("delete", _PROFILE),
    "CreateAccessKey": Meaning(
        "issue_key",
        _USER,
        own=True,
        resource=_ACCESS_KEY,
        attributes={"new_key": _response("accessKey", "accessKeyId")},
    ),
    "UpdateAccessKey": Meaning(
        "update",
        _USER,
        own=True,
        resource=_ACCESS_KEY,
        attributes={**_KEY_ID, "status": _request("status")},
        depending_on=_request("status"),
        instead={"Inactive": "suspend_key"},
    ),
    "DeleteAccessKey": Meaning("revoke_key", _USER, own=True, resource=_ACCESS_KEY, attributes=_KEY_ID),
    "CreateLoginProfile": Meaning("issue_key", _USER, own=True, resource=_LOGIN_PROFILE),
    "UpdateLoginProfile": Meaning("update", _USER, own=True, resource=_LOGIN_PROFILE),
    "DeleteLoginProfile": Meaning("revoke_key", _USER, own=True, resource=_LOGIN_PROFILE),
    "UpdateAssumeRolePolicy": Meaning("update_trust", _ROLE, after=_DOCUMENT),
}

_STS = {
    "AssumeRole": _assumed(_request("roleArn")),
    "AssumeRoleWithSAML": _assumed(_request("roleArn")),
    "AssumeRoleWithWebIdentity": _assumed(_request("roleArn")),
    "AssumeRoot": Meaning("login", role=_constant("root"), resource=_request("targetPrincipal")),
    "GetSessionToken": Meaning("login"),
    "GetFederationToken": Meaning("login"),
}

_SIGN_IN = {"ConsoleLogin": Meaning("login")}

MEANINGS: Mapping[tuple[str, str], Meaning] = {
    (f"{service}.amazonaws.com", call): meaning
    for service, calls in (("iam", _IAM), ("sts", _STS), ("signin", _SIGN_IN))
    for call, meaning in calls.items()
}
