"""Documents with a rule or two: encryption, public access block, ownership, accelerate, request payment, versioning.

Each function takes what was sent, and returns what is kept or raises AWS's error. Pure.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from lambent.aws.errors import ApiError, not_built
from lambent.services.s3.errors import error, invalid_argument, invalid_request, malformed_xml
from lambent.services.s3.records import ENABLED, SUSPENDED, Bucket

Given = Mapping[str, Any]

ENCRYPTION: Final = {
    "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": False}]
}
"""Of every bucket that says nothing else."""
FLAGS: Final = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
PUBLIC_ACCESS: Final = dict.fromkeys(FLAGS, True)
OWNERSHIPS: Final = ("BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter")
_KMS: Final = ("aws:kms", "aws:kms:dsse")


def encryption(given: Given) -> dict[str, Any]:
    rules: Sequence[Given] = given.get("Rules") or ()
    if len(rules) != 1:
        raise malformed_xml()
    rule = dict(rules[0])
    default = dict(rule.get("ApplyServerSideEncryptionByDefault") or {"SSEAlgorithm": "AES256"})
    algorithm = default.get("SSEAlgorithm")
    if algorithm not in ("AES256", *_KMS):
        raise malformed_xml()
    if default.get("KMSMasterKeyID") and algorithm not in _KMS:
        text = "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse"
        raise invalid_argument(text, "ApplyServerSideEncryptionByDefault", algorithm)
    kept: dict[str, Any] = {
        "ApplyServerSideEncryptionByDefault": default,
        "BucketKeyEnabled": bool(rule.get("BucketKeyEnabled")),
    }
    if rule.get("BlockedEncryptionTypes"):
        kept["BlockedEncryptionTypes"] = rule["BlockedEncryptionTypes"]
    return {"Rules": [kept]}


def encryption_headers(document: Given) -> dict[str, str]:
    """What a new object is encrypted with where its request does not say; empty: AES256."""
    default = document["Rules"][0]["ApplyServerSideEncryptionByDefault"]
    if default["SSEAlgorithm"] not in _KMS:
        return {}
    key = {"SSEKMSKeyId": default["KMSMasterKeyID"]} if default.get("KMSMasterKeyID") else {}
    return {"ServerSideEncryption": default["SSEAlgorithm"], **key}


def public_access(given: Given) -> dict[str, bool]:
    if not any(given.get(flag) is not None for flag in FLAGS):
        raise malformed_xml()
    return {flag: bool(given.get(flag)) for flag in FLAGS}


def ownership(given: Given) -> str:
    rules: Sequence[Given] = given.get("Rules") or ()
    if len(rules) != 1 or rules[0].get("ObjectOwnership") not in OWNERSHIPS:
        raise malformed_xml()
    return str(rules[0]["ObjectOwnership"])


def payment(given: Given) -> dict[str, str]:
    if given.get("Payer") not in ("BucketOwner", "Requester"):
        raise malformed_xml()
    return {"Payer": given["Payer"]}


def accelerate(bucket: Bucket, given: Given) -> dict[str, str]:
    if given.get("Status") not in (ENABLED, SUSPENDED):
        raise malformed_xml()
    if "." in bucket.name:
        raise invalid_request("S3 Transfer Acceleration is not supported for buckets with periods (.) in their names")
    return {"Status": given["Status"]}


def versioning(bucket: Bucket, given: Given) -> str:
    status = given.get("Status")
    if status is None:
        code = "IllegalVersioningConfigurationException"
        raise error(code, "The Versioning element must be specified", 400)
    if status not in (ENABLED, SUSPENDED):
        raise malformed_xml()
    if given.get("MFADelete") == ENABLED:
        raise not_built("PutBucketVersioning", "MFA delete of S3")
    if status == SUSPENDED and bucket.locked:
        text = "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed."
        raise error("InvalidBucketState", text, 409)
    return str(status)


def missing(code: str, message: str, bucket: Bucket) -> ApiError:
    """A bucket that has no document of a kind."""
    return error(code, message, 404, BucketName=bucket.name)
