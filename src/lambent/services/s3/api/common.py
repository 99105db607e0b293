"""What operations of S3 share: whose bucket it is, who asks, and members that many results have."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from lambent.aws.service import CallContext, Parameters
from lambent.services.s3.buckets import Buckets
from lambent.services.s3.errors import access_denied, error
from lambent.services.s3.records import Bucket, Details, Origin, Part

CHECKSUMS: Final = (
    "CRC32",
    "CRC32C",
    "CRC64NVME",
    "SHA1",
    "SHA256",
    "SHA512",
    "MD5",
    "XXHASH64",
    "XXHASH3",
    "XXHASH128",
)


def bucket_of(buckets: Buckets, context: CallContext, parameters: Parameters) -> Bucket:
    """Raises NoSuchBucket, and AccessDenied when another owner is expected."""
    bucket = buckets.get(parameters["Bucket"])
    check_owner(bucket, parameters.get("ExpectedBucketOwner"))
    return bucket


def check_owner(bucket: Bucket, expected: str | None) -> None:
    if expected is None:
        return
    if not (len(expected) == 12 and expected.isascii() and expected.isdecimal()):
        text = f"The value of the expected bucket owner parameter must be an AWS Account ID... [{expected}]"
        raise error("InvalidBucketOwnerAWSAccountID", text, 400)
    if expected != bucket.account:
        raise access_denied()


def origin_of(context: CallContext) -> Origin:
    source = getattr(context, "source_ip", "") or "127.0.0.1"
    return Origin(
        principal=context.identity.arn,
        request_id=context.request_id,
        source_ip=source,
        trace_header=context.trace_header,
    )


def moment(at_ms: int) -> datetime:
    """To the second, as S3 tells all its times."""
    return datetime.fromtimestamp(at_ms // 1000, UTC)


def checksum_members(checksums: Mapping[str, str]) -> dict[str, str]:
    return {f"Checksum{algorithm}": value for algorithm, value in checksums.items()}


def checksums_of(details: Details) -> dict[str, Any]:
    members: dict[str, Any] = dict(checksum_members(details.checksums))
    if members and details.checksum_type:
        members["ChecksumType"] = details.checksum_type
    return members


def encryption_of(details: Details) -> dict[str, str]:
    return dict(details.encryption) or {"ServerSideEncryption": "AES256"}


def without_none(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def part_members(part: Part) -> dict[str, Any]:
    return {
        "PartNumber": part.number,
        "LastModified": moment(part.modified_ms),
        "ETag": f'"{part.etag}"',
        "Size": part.size,
    }
