"""Access control lists: canned ones, headers and XML become grants, and whom grants let in. Pure.

Grants are kept as the model has them. Almost all buckets refuse ACLs (BucketOwnerEnforced), as AWS's do since 2023.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from lambent.aws.errors import ApiError
from lambent.services.s3.errors import error, invalid_argument, invalid_request
from lambent.services.s3.owners import canonical_id
from lambent.services.s3.records import ENFORCED, Bucket

_GROUPS: Final = "http://acs.amazonaws.com/groups"
EVERYBODY: Final = f"{_GROUPS}/global/AllUsers"
SIGNED: Final = f"{_GROUPS}/global/AuthenticatedUsers"
LOGS: Final = f"{_GROUPS}/s3/LogDelivery"
PERMISSIONS: Final = ("FULL_CONTROL", "READ", "WRITE", "READ_ACP", "WRITE_ACP")
_CANNED: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "private": (),
    "public-read": ((EVERYBODY, "READ"),),
    "public-read-write": ((EVERYBODY, "READ"), (EVERYBODY, "WRITE")),
    "authenticated-read": ((SIGNED, "READ"),),
    "aws-exec-read": (),
    "bucket-owner-read": (),
    "bucket-owner-full-control": (),
    "log-delivery-write": ((LOGS, "WRITE"), (LOGS, "READ_ACP")),
}
PUBLIC: Final = frozenset({"public-read", "public-read-write", "authenticated-read"})
_HEADERS: Final = {
    "GrantFullControl": ("x-amz-grant-full-control", "FULL_CONTROL"),
    "GrantRead": ("x-amz-grant-read", "READ"),
    "GrantReadACP": ("x-amz-grant-read-acp", "READ_ACP"),
    "GrantWrite": ("x-amz-grant-write", "WRITE"),
    "GrantWriteACP": ("x-amz-grant-write-acp", "WRITE_ACP"),
}
_GRANTEE: Final = re.compile(r'\s*(id|uri|emailAddress)\s*=\s*"?([^",]*)"?\s*', re.IGNORECASE)
_ID: Final = re.compile(r"[0-9a-f]{64}")
MALFORMED: Final = "The XML you provided was not well-formed or did not validate against our published schema"

Grants = list[dict[str, Any]]


def given(parameters: Mapping[str, Any]) -> bool:
    """Whether a request that may have an ACL has one."""
    return bool(parameters.get("ACL")) or any(parameters.get(name) for name in _HEADERS)


def of_request(parameters: Mapping[str, Any], account: str) -> Grants:
    """Of PutBucketAcl and PutObjectAcl, and of requests that create; `account` owns what it is about."""
    canned, document = parameters.get("ACL"), parameters.get("AccessControlPolicy")
    in_headers = any(parameters.get(name) for name in _HEADERS)
    if canned and in_headers:
        raise invalid_request("Specifying both Canned ACLs and Header Grants is not allowed")
    if document and (canned or in_headers):
        raise error("UnexpectedContent", "This request does not support content", 400)
    if document:
        return _of_document(document)
    if in_headers:
        return _of_headers(parameters)
    if not canned:
        text = "Your request was missing a required header"
        raise error("MissingSecurityHeader", text, 400, MissingHeaderName="x-amz-acl")
    return of_canned(canned, account)


def of_canned(name: str, account: str) -> Grants:
    if name not in _CANNED:
        raise invalid_argument(None, "x-amz-acl", name)
    return [owner_grant(account), *(_group(uri, permission) for uri, permission in _CANNED[name])]


def owner_grant(account: str) -> dict[str, Any]:
    return {"Grantee": {"ID": canonical_id(account), "Type": "CanonicalUser"}, "Permission": "FULL_CONTROL"}


def _group(uri: str, permission: str) -> dict[str, Any]:
    return {"Grantee": {"URI": uri, "Type": "Group"}, "Permission": permission}


def _of_headers(parameters: Mapping[str, Any]) -> Grants:
    found: Grants = []
    for member, (header, permission) in _HEADERS.items():
        for text in (parameters.get(member) or "").split(",") if parameters.get(member) else ():
            match = _GRANTEE.fullmatch(text)
            if match is None:
                raise invalid_argument("Argument format not recognized", header, parameters[member])
            kind, value = match[1].lower(), match[2]
            if kind == "id":
                found.append({"Grantee": _user(value, "id"), "Permission": permission})
            elif kind == "uri":
                found.append({"Grantee": _named_group(value, "uri"), "Permission": permission})
            else:
                raise _no_email(value)
    return found


def _of_document(document: Mapping[str, Any]) -> Grants:
    if not (document.get("Owner") or {}).get("ID"):
        raise _malformed()
    found: Grants = []
    for grant in document.get("Grants") or ():
        grantee = grant.get("Grantee") or {}
        if grant.get("Permission") not in PERMISSIONS:
            raise _malformed()
        match grantee.get("Type"):
            case "CanonicalUser":
                who = _user(grantee.get("ID") or "", "CanonicalUser/ID")
            case "Group":
                who = _named_group(grantee.get("URI") or "", "Group/URI")
            case "AmazonCustomerByEmail":
                raise _no_email(grantee.get("EmailAddress") or "")
            case _:
                raise _malformed()
        found.append({"Grantee": who, "Permission": grant["Permission"]})
    if len(found) > 100:
        raise _malformed()
    return found


def _user(id: str, name: str) -> dict[str, str]:
    if not _ID.fullmatch(id):
        raise invalid_argument("Invalid id", name, id)
    return {"ID": id, "Type": "CanonicalUser"}


def _named_group(uri: str, name: str) -> dict[str, str]:
    if uri not in (EVERYBODY, SIGNED, LOGS):
        raise invalid_argument("Invalid group uri", name, uri)
    return {"URI": uri, "Type": "Group"}


def _no_email(address: str) -> ApiError:
    text = "The e-mail address you provided does not match any account on record."
    return error("UnresolvableGrantByEmailAddress", text, 400, EmailAddress=address)


def _malformed() -> ApiError:
    return error("MalformedACLError", MALFORMED, 400)


def refuse_where_enforced(bucket: Bucket) -> None:
    """Raised by PutBucketAcl and PutObjectAcl of a bucket whose owner owns all, as of new ones."""
    if bucket.ownership == ENFORCED:
        raise error("AccessControlListNotSupported", "The bucket does not allow ACLs", 400)


def is_public(grants: Iterable[Mapping[str, Any]]) -> bool:
    return any(grant["Grantee"].get("URI") in (EVERYBODY, SIGNED) for grant in grants)


def allows(grants: Sequence[Mapping[str, Any]], account: str | None, permission: str) -> bool:
    """Whether grants let an account in; None: somebody who has signed nothing."""
    for grant in grants:
        if grant["Permission"] not in (permission, "FULL_CONTROL"):
            continue
        grantee = grant["Grantee"]
        if grantee.get("URI") == EVERYBODY or (account is not None and grantee.get("URI") == SIGNED):
            return True
        if account is not None and grantee.get("ID") == canonical_id(account):
            return True
    return False
