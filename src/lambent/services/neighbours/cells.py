"""What a request of IAM sets or takes away, as cells: small places that hold one value each. Pure.

A request whose cells are all set again, or taken away, by later ones need not be done again. Requests that are not here
are no such setters.
"""

import re
from collections.abc import Mapping
from typing import Final

Cell = tuple[str, ...]
"""What kind of place, then of which subjects."""

SET: Final[Mapping[str, tuple[Cell, ...]]] = {
    "PutRolePolicy": (("inline", "RoleName", "PolicyName"),),
    "PutUserPolicy": (("inline", "UserName", "PolicyName"),),
    "PutGroupPolicy": (("inline", "GroupName", "PolicyName"),),
    "AttachRolePolicy": (("attached", "RoleName", "PolicyArn"),),
    "AttachUserPolicy": (("attached", "UserName", "PolicyArn"),),
    "AttachGroupPolicy": (("attached", "GroupName", "PolicyArn"),),
    "AddUserToGroup": (("member", "GroupName", "UserName"),),
    "AddRoleToInstanceProfile": (("in profile", "InstanceProfileName", "RoleName"),),
    "PutRolePermissionsBoundary": (("boundary", "RoleName"),),
    "PutUserPermissionsBoundary": (("boundary", "UserName"),),
    "UpdateAssumeRolePolicy": (("trust", "RoleName"),),
    "UpdateRoleDescription": (("description", "RoleName"),),
    "UpdateRole": (("description", "RoleName"), ("session", "RoleName")),
    "CreateLoginProfile": (("login", "UserName"), ("password", "UserName")),
    "UpdateLoginProfile": (("password", "UserName"),),
    "UpdateAccessKey": (("status", "AccessKeyId"),),
    "UpdateSSHPublicKey": (("status", "SSHPublicKeyId"),),
    "UpdateSigningCertificate": (("status", "CertificateId"),),
    "UpdateAccountPasswordPolicy": (("password policy", ""),),
    "CreateAccountAlias": (("alias", ""),),
    "SetDefaultPolicyVersion": (("default", "PolicyArn"),),
    "UpdateOpenIDConnectProviderThumbprint": (("thumbprint", "OpenIDConnectProviderArn"),),
    "AddClientIDToOpenIDConnectProvider": (("client", "OpenIDConnectProviderArn", "ClientID"),),
    "UpdateSAMLProvider": (("metadata", "SAMLProviderArn"),),
    "EnableMFADevice": (("device", "UserName", "SerialNumber"),),
}
"""The names are of members whose values tell of what."""
REMOVED: Final[Mapping[str, tuple[str, ...]]] = {
    "DeleteRolePolicy": ("PutRolePolicy",),
    "DeleteUserPolicy": ("PutUserPolicy",),
    "DeleteGroupPolicy": ("PutGroupPolicy",),
    "DetachRolePolicy": ("AttachRolePolicy",),
    "DetachUserPolicy": ("AttachUserPolicy",),
    "DetachGroupPolicy": ("AttachGroupPolicy",),
    "RemoveUserFromGroup": ("AddUserToGroup",),
    "RemoveRoleFromInstanceProfile": ("AddRoleToInstanceProfile",),
    "DeleteRolePermissionsBoundary": ("PutRolePermissionsBoundary",),
    "DeleteUserPermissionsBoundary": ("PutUserPermissionsBoundary",),
    "DeleteLoginProfile": ("CreateLoginProfile",),
    "DeleteAccountPasswordPolicy": ("UpdateAccountPasswordPolicy",),
    "DeleteAccountAlias": ("CreateAccountAlias",),
    "RemoveClientIDFromOpenIDConnectProvider": ("AddClientIDToOpenIDConnectProvider",),
    "DeactivateMFADevice": ("EnableMFADevice",),
}
_TAGGING: Final = re.compile(r"(Tag|Untag)([A-Z]\w+)")
TAGGED: Final = {
    "Role": "RoleName",
    "User": "UserName",
    "Policy": "PolicyArn",
    "InstanceProfile": "InstanceProfileName",
    "OpenIDConnectProvider": "OpenIDConnectProviderArn",
    "SAMLProvider": "SAMLProviderArn",
    "ServerCertificate": "ServerCertificateName",
    "MFADevice": "SerialNumber",
}


def cells(members: Mapping[str, str]) -> frozenset[Cell]:
    """None of them: the request is no such setter."""
    action = members["Action"]
    tagging = _TAGGING.fullmatch(action)
    if tagging is not None and tagging[2] in TAGGED:
        subject = _of(TAGGED[tagging[2]], members)
        keys = [value for name, value in members.items() if _names_a_key(name)]
        return frozenset(("tag", subject, key) for key in keys)
    if action in ("UpdateUser", "UpdateGroup"):
        name = "UserName" if action == "UpdateUser" else "GroupName"
        renames = f"New{name}" in members
        return frozenset() if renames else frozenset({("path", _of(name, members))})
    found: frozenset[Cell] = frozenset()
    for setter in REMOVED.get(action, (action,)):
        found |= {(kind, *(_of(name, members) for name in names)) for kind, *names in SET.get(setter, ())}
    return found


def removes(action: str) -> bool:
    return action in REMOVED or action.startswith("Untag")


def initial(members: Mapping[str, str]) -> set[Cell]:
    """What a request has set in the thing that it made, as `begins` tells it."""
    if not members["Action"].startswith(("Create", "Upload")):
        return set()
    found = {("boundary", "")} if "PermissionsBoundary" in members else set()
    found |= {("tag", value.casefold()) for name, value in members.items() if _names_a_key(name)}
    return found | {("client", value) for name, value in members.items() if name.startswith("ClientIDList.")}


def begins(cell: Cell) -> Cell:
    """How `initial` tells of a cell of the thing that is made."""
    if cell[0] == "tag":
        return "tag", cell[2].casefold()
    return cell[0], cell[2].partition("=")[2] if cell[0] == "client" else ""


def _names_a_key(name: str) -> bool:
    return name.startswith("TagKeys.") or (name.startswith("Tags.") and name.endswith(".Key"))


def _of(name: str, members: Mapping[str, str]) -> str:
    return f"{name}={members.get(name, '')}"
