"""The condition keys of a request, as policies know them: who asks, how, from where, and for what. Pure.

What only the wire knows (addresses, headers, signatures) comes with the context of the call. A key of which nothing
is known is absent, as on AWS.
"""

import ipaddress
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qsl

from lambent.aws.policy.principals import Principal
from lambent.aws.service import CallContext, Parameters
from lambent.services.s3.records import Bucket

Keys = dict[str, str | Sequence[str]]

VERSION: Final = "s3:VersionId"
_MEMBERS: Final = {
    "ACL": "s3:x-amz-acl",
    "GrantFullControl": "s3:x-amz-grant-full-control",
    "GrantRead": "s3:x-amz-grant-read",
    "GrantReadACP": "s3:x-amz-grant-read-acp",
    "GrantWrite": "s3:x-amz-grant-write",
    "GrantWriteACP": "s3:x-amz-grant-write-acp",
    "Prefix": "s3:prefix",
    "Delimiter": "s3:delimiter",
    "MaxKeys": "s3:max-keys",
    "VersionId": VERSION,
    "MetadataDirective": "s3:x-amz-metadata-directive",
    "ServerSideEncryption": "s3:x-amz-server-side-encryption",
    "SSEKMSKeyId": "s3:x-amz-server-side-encryption-aws-kms-key-id",
    "SSECustomerAlgorithm": "s3:x-amz-server-side-encryption-customer-algorithm",
    "StorageClass": "s3:x-amz-storage-class",
    "WebsiteRedirectLocation": "s3:x-amz-website-redirect-location",
    "ObjectOwnership": "s3:x-amz-object-ownership",
    "ObjectLockMode": "s3:object-lock-mode",
    "ObjectLockLegalHoldStatus": "s3:object-lock-legal-hold",
    "IfMatch": "s3:if-match",
    "IfNoneMatch": "s3:if-none-match",
}
_LONG_S: Final = 86_400
EXISTING_TAG: Final = "s3:existingobjecttag/"
"""How the keys begin that are of the object as it is; in lower case."""


def condition_keys(
    context: CallContext, principal: Principal, bucket: Bucket, parameters: Parameters, now: datetime
) -> Keys:
    """All but what is known of an object that is there."""
    found: Keys = {
        "aws:CurrentTime": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "aws:EpochTime": str(int(now.timestamp())),
        "aws:RequestedRegion": context.region,
        "aws:SecureTransport": str(is_secure(context)).lower(),
        "aws:PrincipalIsAWSService": str(principal.kind == "Service").lower(),
        "aws:ResourceAccount": bucket.account,
        "s3:ResourceAccount": bucket.account,
        **context.conditions(),
    }
    if context.source_ip:
        found["aws:SourceIp"] = context.source_ip
    if principal.account is not None:
        found["aws:PrincipalAccount"] = principal.account
        found["aws:PrincipalArn"] = principal.role_arn or principal.name
        found["aws:PrincipalType"] = _type(principal)
        if ":user/" in principal.name:
            found["aws:username"] = principal.name.rpartition("/")[2]
    elif principal.kind == "Anonymous":
        found["aws:PrincipalType"] = "Anonymous"
    if principal.kind == "Service":
        found["aws:PrincipalServiceName"] = principal.name
    if context.source is not None:
        found |= {"aws:SourceArn": context.source.arn, "aws:SourceAccount": context.source.account}
    return found | _of_parameters(parameters, now)


def _of_parameters(parameters: Parameters, now: datetime) -> Keys:
    found: Keys = {
        key: str(parameters[member]) for member, key in _MEMBERS.items() if parameters.get(member) is not None
    }
    source: Any = parameters.get("CopySource")
    if isinstance(source, str):
        found["s3:x-amz-copy-source"] = source
    until = parameters.get("ObjectLockRetainUntilDate") or (parameters.get("Retention") or {}).get("RetainUntilDate")
    if isinstance(until, datetime):
        found["s3:object-lock-retain-until-date"] = until.strftime("%Y-%m-%dT%H:%M:%SZ")
        days = math.ceil((until - now).total_seconds() / _LONG_S)
        found["s3:object-lock-remaining-retention-days"] = str(days)
    for document, member, key in (
        ("Retention", "Mode", "s3:object-lock-mode"),
        ("LegalHold", "Status", "s3:object-lock-legal-hold"),
    ):
        value = (parameters.get(document) or {}).get(member)
        if value is not None:
            found[key] = str(value)
    return found | _of_tags(parameters.get("Tagging")) if "Key" in parameters else found


def _of_tags(given: Any) -> Keys:
    """Of the request: a header, or the document of PutObjectTagging. What is wrong with them is told later."""
    if isinstance(given, str):
        tags: Mapping[str, str] = dict(parse_qsl(given, keep_blank_values=True))
    else:
        tags = {tag["Key"]: tag.get("Value", "") for tag in (given or {}).get("TagSet") or ()}
    if not tags:
        return {}
    return {"s3:RequestObjectTagKeys": tuple(tags), **_named("s3:RequestObjectTag/", tags)}


def of_object(tags: Mapping[str, str]) -> Mapping[str, str]:
    return _named(EXISTING_TAG, tags)


def _named(beginning: str, tags: Mapping[str, str]) -> dict[str, str]:
    return {f"{beginning}{name}": value for name, value in tags.items()}


def is_secure(context: CallContext) -> bool:
    """A connection that does not leave this machine is as good as one of TLS: the usual policy that demands TLS does
    not shut out who tries it here."""
    if context.base_url.startswith("https:") or not context.source_ip:
        return True
    try:
        return ipaddress.ip_address(context.source_ip).is_loopback
    except ValueError:
        return False


def _type(principal: Principal) -> str:
    if principal.role_arn is not None:
        return "AssumedRole"
    return "User" if ":user/" in principal.name else "Account"
