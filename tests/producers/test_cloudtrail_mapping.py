import copy
import json
import uuid
from typing import Any

import pytest
from event_strategies import any_json
from hypothesis import given, settings
from hypothesis import strategies as st

from keytrail.producers.cloudtrail import RecordError, event_from
from keytrail.producers.cloudtrail.meanings import MEANINGS
from keytrail.producers.cloudtrail.policy_document import allowed_actions
from keytrail.producers.datum import flat_encoder
from keytrail.producers.fitting import fit
from keytrail.schemas import avro
from keytrail.schemas.records import Event

ENCODE = flat_encoder(avro.parse(avro.schema_text("event")))
ACCOUNT = "123456789012"
IDENTITY: dict[str, Any] = {
    "type": "IAMUser",
    "principalId": "AIDAEXAMPLE",
    "arn": f"arn:aws:iam::{ACCOUNT}:user/team/anna",
    "accountId": ACCOUNT,
    "accessKeyId": "AKIAEXAMPLE",
    "userName": "anna",
}
POLICY = json.dumps(
    {
        "Statement": [
            {"Effect": "Allow", "Action": ["s3:Get*", "s3:List*"], "Resource": "*"},
            {"Effect": "Deny", "Action": "s3:GetSecret", "Resource": "*"},
            {"Effect": "Allow", "Action": "ec2:Describe*", "Resource": "*"},
        ]
    }
)


def record(name: str = "DescribeInstances", source: str = "ec2", **more: Any) -> dict[str, Any]:
    return {
        "eventVersion": "1.08",
        "userIdentity": IDENTITY,
        "eventTime": "2026-07-10T12:24:10Z",
        "eventSource": f"{source}.amazonaws.com",
        "eventName": name,
        "awsRegion": "us-east-1",
        "sourceIPAddress": "192.0.2.1",
        "userAgent": "aws-cli/2",
        "requestParameters": None,
        "responseElements": None,
        "requestID": "request-1",
        "eventID": "edc26fa8-655a-4346-9e18-f79b0d9e25de",
        "readOnly": True,
        "recipientAccountId": ACCOUNT,
        **more,
    }


def iam(name: str, response: Any = None, **request: Any) -> Event:
    return event_from(record(name, "iam", requestParameters=request, responseElements=response))


def test_a_plain_call_is_a_use_and_what_is_not_said_stays_none() -> None:
    arn = "arn:aws:ec2:us-east-1:1:instance/i-1"
    assert event_from(record(resources=[{"ARN": arn}])) == Event(
        event_id="edc26fa8-655a-4346-9e18-f79b0d9e25de",
        occurred_at=1_783_686_250_000_000,  # type: ignore[arg-type]
        recorded_at=1_783_686_250_000_000,  # type: ignore[arg-type]
        service="ec2",
        environment=ACCOUNT,
        actor_id="anna",
        actor_type="human",
        key_id="AKIAEXAMPLE",
        key_alias=None,
        action="use",
        subject=None,
        resource=arn,
        source_ip="192.0.2.1",
        user_agent="aws-cli/2",
        correlation_id="request-1",
        attributes={
            "eventName": "DescribeInstances",
            "eventSource": "ec2.amazonaws.com",
            "region": "us-east-1",
            "account": ACCOUNT,
            "readOnly": "true",
        },
        producer_id=f"cloudtrail:{ACCOUNT}",
        sequence=0,
    )


ADMIN = "arn:aws:iam::aws:policy/job-function/AdministratorAccess"


@pytest.mark.parametrize(
    ("call", "request_", "action", "subject", "role"),
    [
        ("AttachRolePolicy", {"roleName": "r", "policyArn": ADMIN}, "grant", "r", "AdministratorAccess"),
        ("AttachUserPolicy", {"userName": "u", "policyArn": ADMIN}, "grant", "u", "AdministratorAccess"),
        ("AttachGroupPolicy", {"groupName": "g", "policyArn": ADMIN}, "grant", "g", "AdministratorAccess"),
        ("DetachUserPolicy", {"userName": "u", "policyArn": ADMIN}, "revoke", "u", "AdministratorAccess"),
        ("PutUserPolicy", {"userName": "u", "policyName": "p", "policyDocument": POLICY}, "grant", "u", "p"),
        ("DeleteRolePolicy", {"roleName": "r", "policyName": "p"}, "revoke", "r", "p"),
        ("DeletePolicy", {"policyArn": ADMIN}, "delete", None, "AdministratorAccess"),
        ("AddUserToGroup", {"userName": "u", "groupName": "g"}, "grant", "u", "g"),
        ("RemoveUserFromGroup", {"userName": "u", "groupName": "g"}, "revoke", "u", "g"),
        ("AddRoleToInstanceProfile", {"instanceProfileName": "i", "roleName": "r"}, "grant", "i", "r"),
        ("CreateUser", {"userName": "u"}, "create", "u", None),
        ("DeleteRole", {"roleName": "r"}, "delete", "r", None),
        ("CreateAccessKey", {"userName": "u"}, "issue_key", "u", None),
        ("CreateAccessKey", {}, "issue_key", "anna", None),
        ("CreateLoginProfile", {"userName": "u"}, "issue_key", "u", None),
        ("UpdateLoginProfile", {"userName": "u"}, "update", "u", None),
        ("DeleteLoginProfile", {"userName": "u"}, "revoke_key", "u", None),
        ("DeleteAccessKey", {"userName": "u", "accessKeyId": "AKIAOLD"}, "revoke_key", "u", None),
        ("UpdateAccessKey", {"userName": "u", "status": "Inactive"}, "suspend_key", "u", None),
        ("UpdateAccessKey", {"userName": "u", "status": "Active"}, "update", "u", None),
        ("UpdateAssumeRolePolicy", {"roleName": "r", "policyDocument": POLICY}, "update_trust", "r", None),
        ("ListUsers", {}, "use", None, None),
    ],
)
def test_what_a_call_means(
    call: str, request_: dict[str, Any], action: str, subject: str | None, role: str | None
) -> None:
    event = iam(call, **request_)
    assert (event.action, event.subject, event.role) == (action, subject, role)
    assert event.attributes["eventName"] == call


def test_a_managed_policy_is_the_resource_and_an_inline_policy_gives_its_permissions() -> None:
    assert iam("AttachUserPolicy", userName="u", policyArn=ADMIN).resource == ADMIN
    inline = iam("PutRolePolicy", roleName="r", policyName="p", policyDocument=POLICY)
    assert inline.permissions == ["s3:Get*", "s3:List*", "ec2:Describe*"]


def test_a_trust_change_carries_the_new_document_and_a_new_key_its_id() -> None:
    assert iam("UpdateAssumeRolePolicy", roleName="r", policyDocument=POLICY).after == POLICY
    issued = iam("CreateAccessKey", {"accessKey": {"accessKeyId": "AKIANEW"}}, userName="u")
    assert (issued.resource, issued.attributes["new_key"]) == ("access key", "AKIANEW")


@pytest.mark.parametrize(
    ("identity", "actor", "key"),
    [
        ({}, ("anna", "human"), ("AKIAEXAMPLE", None)),
        ({"userName": None}, ("anna", "human"), ("AKIAEXAMPLE", None)),
        ({"accessKeyId": ""}, ("anna", "human"), (None, None)),
        ({"accessKeyId": "ASIA1"}, ("anna", "human"), (IDENTITY["arn"], "ASIA1")),
        (
            {"type": "Root", "arn": "arn:aws:iam::1:root", "userName": None},
            ("root", "human"),
            ("AKIAEXAMPLE", None),
        ),
        (
            {
                "type": "AssumedRole",
                "userName": None,
                "accessKeyId": "ASIA2",
                "arn": "arn:aws:sts::1:assumed-role/deployer/run-7",
                "sessionContext": {
                    "sessionIssuer": {"arn": "arn:aws:iam::1:role/deployer", "userName": "deployer"}
                },
            },
            ("deployer", "service"),
            ("arn:aws:iam::1:role/deployer", "ASIA2"),
        ),
        (
            {
                "type": "AssumedRole",
                "userName": None,
                "accessKeyId": "ASIA3",
                "arn": "arn:aws:sts::1:assumed-role/AWSReservedSSO_Admin_0123/anna@example.com",
            },
            ("anna@example.com", "human"),
            ("arn:aws:sts::1:assumed-role/AWSReservedSSO_Admin_0123/anna@example.com", "ASIA3"),
        ),
    ],
    ids=[
        "user",
        "user by ARN",
        "console",
        "user's session",
        "root",
        "role session",
        "person by single sign-on",
    ],
)
def test_who_acted_and_with_which_key(
    identity: dict[str, Any], actor: tuple[str, str], key: tuple[str | None, str | None]
) -> None:
    event = event_from(record(userIdentity=IDENTITY | identity))
    assert (event.actor_id, event.actor_type) == actor
    assert (event.key_id, event.key_alias) == key


@pytest.mark.parametrize(
    ("identity", "actor"),
    [
        ({"type": "AWSService", "invokedBy": "rds.amazonaws.com"}, ("rds.amazonaws.com", "service")),
        ({"accountId": "1", "invokedBy": "ec2.amazonaws.com"}, ("ec2.amazonaws.com", "service")),
        ({"type": "AWSAccount", "principalId": "AIDA1", "accountId": "1"}, ("AIDA1", "service")),
        (None, ("ec2", "system")),
    ],
)
def test_who_acted_where_nobody_is_named(identity: Any, actor: tuple[str, str]) -> None:
    event = event_from(record(userIdentity=identity))
    assert (event.actor_id, event.actor_type, event.key_id) == (*actor, None)


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (None, "success"),
        ("AccessDenied", "denied"),
        ("AccessDeniedException", "denied"),
        ("Client.UnauthorizedOperation", "denied"),
        ("UnauthorizedException", "denied"),
        ("ThrottlingException", "failure"),
        ("NoSuchEntityException", "failure"),
    ],
)
def test_the_outcome_follows_from_the_error_code(code: str | None, outcome: str) -> None:
    event = event_from(record(errorCode=code, errorMessage=None))
    assert (event.outcome, event.error) == (outcome, code)


def test_a_refused_role_is_known_from_the_message_alone() -> None:
    message = "User: arn:aws:iam::1:user/anna is not authorized to perform: sts:AssumeRole on resource: "
    event = event_from(
        record(
            "AssumeRole",
            "sts",
            errorCode="AccessDenied",
            errorMessage=message + "arn:aws:iam::1:role/ops/admin",
        )
    )
    assert (event.action, event.outcome, event.role) == ("login", "denied", "admin")
    assert event.resource == "arn:aws:iam::1:role/ops/admin"


def test_logins() -> None:
    arn = "arn:aws:iam::1:role/aws-service-role/rds.amazonaws.com/Rds"
    assumed = event_from(record("AssumeRole", "sts", requestParameters={"roleArn": arn}))
    assert (assumed.action, assumed.subject, assumed.role) == ("login", None, "Rds")
    failed = event_from(record("ConsoleLogin", "signin", responseElements={"ConsoleLogin": "Failure"}))
    assert (failed.action, failed.outcome, failed.role) == ("login", "denied", None)


def test_a_service_in_place_of_an_address_is_kept_as_an_attribute() -> None:
    event = event_from(record(sourceIPAddress="rds.amazonaws.com"))
    assert (event.source_ip, event.attributes["sourceIPAddress"]) == (None, "rds.amazonaws.com")


def test_a_record_without_an_id_gets_one_from_its_content() -> None:
    one, same, other = record(eventID=None), record(eventID=None), record(eventID=None, requestID="request-2")
    assert event_from(one).event_id == event_from(same).event_id != event_from(other).event_id
    assert uuid.UUID(event_from(one).event_id).version == 5


@pytest.mark.parametrize("missing", ["eventTime", "eventSource", "eventName"])
def test_a_record_that_is_none_is_refused_by_what_it_lacks(missing: str) -> None:
    with pytest.raises(RecordError, match=missing):
        event_from(record(**{missing: None}))


SECRET = "wJalrXUtnFEMI"
SECRETS = {
    "password": SECRET,
    "newPassword": SECRET,
    "credentials": {"secretAccessKey": SECRET, "sessionToken": SECRET},
    "accessKey": {"accessKeyId": "AKIANEW", "secretAccessKey": SECRET},
}


@pytest.mark.parametrize("call", [*MEANINGS, ("secretsmanager.amazonaws.com", "PutSecretValue")], ids=str)
def test_no_secret_gets_into_an_event(call: tuple[str, str]) -> None:
    source, name = call
    event = event_from(
        record(
            name, source.removesuffix(".amazonaws.com"), requestParameters=SECRETS, responseElements=SECRETS
        )
    )
    assert SECRET not in repr(event)


PARAMETERS = (
    "userName",
    "roleName",
    "groupName",
    "policyArn",
    "policyDocument",
    "accessKeyId",
    "roleArn",
    "status",
)
OTHERS = ("sessionContext", "sessionIssuer", "resources", "errorCode", "errorMessage")
paths = st.lists(st.sampled_from([*record(), *IDENTITY, *PARAMETERS, *OTHERS]), min_size=1, max_size=3)
hostile_text = st.sampled_from(
    ["arn:aws:sts::1:assumed-role/", "arn:aws:sts::1:assumed-role/x", ":", "/", "%zz", "%7B"]
)


@settings(max_examples=300)
@given(
    st.sampled_from([*MEANINGS, ("ec2.amazonaws.com", "RunInstances")]),
    st.lists(st.tuples(paths, any_json | hostile_text), max_size=4),
)
def test_any_record_gives_the_same_event_each_time_or_a_record_error(
    call: tuple[str, str], changes: list[tuple[list[str], Any]]
) -> None:
    changed = copy.deepcopy(record(call[1], call[0].removesuffix(".amazonaws.com")))
    for path, value in changes:
        node: Any = changed
        for name in path[:-1]:
            node = node.setdefault(name, {}) if isinstance(node, dict) else {}
        if isinstance(node, dict):
            node[path[-1]] = value

    assert outcome_of(changed) == outcome_of(json.loads(json.dumps(changed)))


@given(st.dictionaries(st.text(max_size=5), any_json, max_size=5))
def test_any_object_gives_an_event_or_a_record_error(anything: dict[str, Any]) -> None:
    outcome_of(anything)


def outcome_of(given_record: dict[str, Any]) -> bytes | str:
    try:
        return fit(event_from(given_record), ENCODE)[1]
    except RecordError as error:
        return error.message


@pytest.mark.parametrize(
    ("document", "actions"),
    [
        (POLICY, ["s3:Get*", "s3:List*", "ec2:Describe*"]),
        ('{"Statement": {"Effect": "Allow", "Action": "*"}}', ["*"]),
        ('{"Statement": {"Effect": "Allow", "NotAction": ["iam:*"]}}', ["not:iam:*"]),
        (
            "%7B%22Statement%22%3A%7B%22Effect%22%3A%22Allow%22%2C%22Action%22%3A%22s3%3A%2A%22%7D%7D",
            ["s3:*"],
        ),
        ('{"Statement": [{"Effect": "Allow", "Action": [1, null, ["x"]]}, 7]}', []),
        ("not JSON", []),
        ("[" * 100_000, []),
        (None, []),
    ],
)
def test_actions_that_a_policy_allows(document: str | None, actions: list[str]) -> None:
    assert allowed_actions(document) == actions
