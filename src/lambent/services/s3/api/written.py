"""What a request to write an object says besides its bytes: headers, metadata, tags, class, lock and encryption."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from lambent.aws.service import Parameters
from lambent.services.s3 import tagging
from lambent.services.s3.configs import acl, object_lock
from lambent.services.s3.configs.configs import Configs
from lambent.services.s3.configs.kinds import Kind
from lambent.services.s3.configs.public_access import blocks
from lambent.services.s3.errors import access_denied, error, invalid_argument, not_implemented
from lambent.services.s3.records import DEFAULT_TYPE, ENFORCED, STANDARD, Bucket, Details, State

HEADERS: Final = (
    "CacheControl",
    "ContentDisposition",
    "ContentEncoding",
    "ContentLanguage",
    "ContentType",
    "Expires",
    "WebsiteRedirectLocation",
)
CLASSES: Final = frozenset(
    {
        "STANDARD",
        "REDUCED_REDUNDANCY",
        "STANDARD_IA",
        "ONEZONE_IA",
        "INTELLIGENT_TIERING",
        "GLACIER",
        "DEEP_ARCHIVE",
        "GLACIER_IR",
    }
)
_UNBUILT: Final = {
    "WriteOffsetBytes": "x-amz-write-offset-bytes",
    "ObjectLockEventHold": "x-amz-object-lock-event-hold",
    "ObjectLockEventHoldDurationDays": "x-amz-object-lock-event-hold-duration-days",
    "ObjectLockEventHoldDurationYears": "x-amz-object-lock-event-hold-duration-years",
}
MAX_METADATA: Final = 2048
MAX_KEY: Final = 1024


def check_key(key: str) -> None:
    size = len(key.encode("utf-8", "surrogateescape"))
    if size > MAX_KEY:
        raise error("KeyTooLongError", "Your key is too long", 400, Size=size, MaxSizeAllowed=MAX_KEY)


def headers_of(parameters: Parameters) -> dict[str, str]:
    headers = {name: str(parameters[name]) for name in HEADERS if parameters.get(name) not in (None, "")}
    if "ContentEncoding" in headers:
        kept = [each.strip() for each in headers.pop("ContentEncoding").split(",") if each.strip() != "aws-chunked"]
        if kept:
            headers["ContentEncoding"] = ",".join(kept)
    headers.setdefault("ContentType", DEFAULT_TYPE)
    return headers


def metadata_of(parameters: Parameters) -> dict[str, str]:
    metadata = {name.lower(): value for name, value in (parameters.get("Metadata") or {}).items()}
    size = sum(len(name.encode()) + len(value.encode("utf-8", "surrogateescape")) for name, value in metadata.items())
    if size > MAX_METADATA:
        text = "Your metadata headers exceed the maximum allowed metadata size"
        raise error("MetadataTooLarge", text, 400, Size=size, MaxSizeAllowed=MAX_METADATA)
    return metadata


def storage_class_of(parameters: Parameters) -> str:
    asked = parameters.get("StorageClass") or STANDARD
    if asked not in CLASSES:
        text = "The storage class you specified is not valid"
        raise error("InvalidStorageClass", text, 400, StorageClassRequested=asked)
    return str(asked)


def details_of(bucket: Bucket, configs: Configs, parameters: Parameters) -> Details:
    """Without checksums, which are known at the end of the bytes."""
    return Details(
        headers=headers_of(parameters),
        metadata=metadata_of(parameters),
        encryption=encryption(bucket, configs, parameters),
    )


def refuse_unbuilt(parameters: Parameters) -> None:
    """What would be another object, or would be held longer, if it were passed over."""
    for member, header in _UNBUILT.items():
        if parameters.get(member) is not None:
            raise not_implemented(header)


def state_of(bucket: Bucket, configs: Configs, parameters: Parameters, now_ms: int) -> State:
    refuse_unbuilt(parameters)
    check_acl(bucket, parameters)
    mode, until_ms, hold = object_lock.of_headers(bucket, parameters, now_ms)
    if not mode and bucket.locked:
        mode, until_ms = object_lock.default_until(configs.document(bucket.id, Kind.LOCK) or {}, now_ms)
    tags = tagging.from_header(parameters.get("Tagging"))
    return State(
        tags=tags,
        lock_mode=mode,
        lock_until_ms=until_ms,
        hold=hold,
        acl=grants_of(bucket, configs, parameters),
    )


def grants_of(bucket: Bucket, configs: Configs, parameters: Parameters) -> str:
    """The ACL that a new object begins with, as its state keeps it; empty: its owner's alone."""
    if bucket.ownership == ENFORCED or not acl.given(parameters):
        return ""
    grants = acl.of_request(parameters, bucket.account)
    if acl.is_public(grants) and blocks(configs, bucket, "BlockPublicAcls"):
        raise access_denied()
    return json.dumps(grants)


def check_acl(bucket: Bucket, parameters: Parameters) -> None:
    grants = any(parameters.get(name) for name in ("GrantFullControl", "GrantRead", "GrantReadACP", "GrantWriteACP"))
    canned = parameters.get("ACL")
    if bucket.ownership == ENFORCED and (grants or canned not in (None, "private", "bucket-owner-full-control")):
        raise error("AccessControlListNotSupported", "The bucket does not allow ACLs", 400)


def encryption(bucket: Bucket, configs: Configs, parameters: Parameters) -> dict[str, str]:
    """Labels alone: files are as safe as the disk under them. Empty: the default, AES256."""
    if parameters.get("SSECustomerAlgorithm") or parameters.get("SSECustomerKey"):
        raise access_denied()
    algorithm, key = parameters.get("ServerSideEncryption"), parameters.get("SSEKMSKeyId")
    if algorithm is None:
        rules: Sequence[Mapping[str, Any]] = (configs.document(bucket.id, Kind.ENCRYPTION) or {}).get("Rules") or ({},)
        default = rules[0].get("ApplyServerSideEncryptionByDefault") or {}
        algorithm, key = default.get("SSEAlgorithm"), default.get("KMSMasterKeyID")
    if algorithm in (None, "AES256"):
        return {}
    if algorithm not in ("aws:kms", "aws:kms:dsse"):
        text = "The encryption method specified is not supported"
        raise invalid_argument(text, "x-amz-server-side-encryption", algorithm)
    place = f"arn:aws:kms:{bucket.region}:{bucket.account}:"
    if key is None:
        key = f"{place}key/{uuid5(NAMESPACE_URL, place + 'alias/aws/s3')}"
    elif not key.startswith("arn:"):
        key = place + (key if key.startswith("alias/") else f"key/{key}")
    return {"ServerSideEncryption": algorithm, "SSEKMSKeyId": key}
