"""The ways in which a permission, or an act done with one, gives somebody more: their names.

A grant of such a permission opens the way (`escalation_path`); an act that a cloud's audit log names, such as
`iam:AttachUserPolicy`, goes it (`privileged_grant`, `key_for_other`, `trust_change`).  Source: the public
lists of privilege escalation paths in AWS IAM.
"""

from keytrail.schemas.records import Event
from keytrail.stream.policies.permissions import reaches

_WAYS = (
    ("attaching a policy", ("iam:Attach*Policy",)),
    ("writing a policy", ("iam:Put*Policy",)),
    ("changing a policy's version", ("iam:CreatePolicyVersion", "iam:SetDefaultPolicyVersion")),
    ("changing who may take on a role", ("iam:UpdateAssumeRolePolicy",)),
    ("making a key for another", ("iam:CreateAccessKey", "*.issue-keys")),
    ("setting another's password", ("iam:*LoginProfile",)),
    ("adding to a group", ("iam:AddUserToGroup",)),
    ("passing a role", ("iam:PassRole", "iam:AddRoleToInstanceProfile")),
    ("granting roles", ("*.grant-roles",)),
)


def way_of(permission: str) -> str:
    """The way with the permission behind it, such as `passing a role (iam:PassRole)`.

    The permission alone where it is none of these, or several at once as `*` is.
    """
    ways = [name for name, patterns in _WAYS if reaches(permission, patterns)]
    return f"{ways[0]} ({permission})" if len(ways) == 1 else permission


def way_gone(event: Event) -> str:
    """The way that an event of a cloud's audit log went; "" where it does not name its operation."""
    operation = event.attributes.get("eventName")
    source = event.attributes.get("eventSource", event.service)
    return way_of(f"{source.partition('.')[0]}:{operation}") if operation else ""
