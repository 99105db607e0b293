"""What becomes of the parts of a completed upload: checks in the order of AWS, the ETag, the checksums. Pure."""

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from lambent.aws import checksums
from lambent.aws.errors import ApiError
from lambent.services.s3.errors import error, invalid_request, malformed_xml
from lambent.services.s3.records import MultipartUpload, Part

SMALLEST: Final = 5 * 1024 * 1024
"""Of a part, the last one excepted."""
DEFAULT: Final = "CRC64NVME"
COMPOSITE: Final = "COMPOSITE"
FULL: Final = "FULL_OBJECT"
TYPES: Final[Mapping[str, tuple[str, ...]]] = {
    "CRC32": (COMPOSITE, FULL),
    "CRC32C": (COMPOSITE, FULL),
    "CRC64NVME": (FULL,),
}
"""By algorithm, the default first; all others are composite."""


@dataclass(frozen=True, slots=True)
class Completed:
    parts: Sequence[Part]
    size: int
    etag: str
    checksums: Mapping[str, str]
    checksum_type: str


def type_of(algorithm: str | None, asked: str | None) -> str:
    """Of a new upload. Raises InvalidRequest."""
    if algorithm is None:
        if asked is not None:
            text = "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header."
            raise invalid_request(text)
        return ""
    if algorithm not in checksums.LENGTHS:
        text = "Checksum algorithm provided is unsupported. Please try again with any of the valid types:"
        raise invalid_request(f"{text} [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]")
    allowed = TYPES.get(algorithm, (COMPOSITE,))
    if asked is not None and asked not in allowed:
        text = f"The {asked} checksum type cannot be used with the {algorithm.lower()} checksum algorithm."
        raise invalid_request(text)
    return asked or allowed[0]


def completed(
    upload: MultipartUpload,
    stored: Mapping[int, Part],
    asked: Sequence[Mapping[str, Any]] | None,
    said: Mapping[str, Any],
) -> Completed:
    """`asked`: the parts that the client names; `said`: what its request says of the whole."""
    if asked is None:
        raise malformed_xml()
    if not asked:
        raise invalid_request("You must specify at least one part")
    numbers = [part.get("PartNumber") or 0 for part in asked]
    if any(second <= first for first, second in pairwise(numbers)):
        text = "The list of parts was not in ascending order. Parts must be ordered by part number."
        raise error("InvalidPartOrder", text, 400, UploadId=upload.id)
    composite = upload.details.checksum_type == COMPOSITE
    parts = [_found(upload, stored, part, composite=composite) for part in asked]
    for part in parts[:-1]:
        if part.size < SMALLEST:
            raise error(
                "EntityTooSmall",
                "Your proposed upload is smaller than the minimum allowed size",
                400,
                ETag=part.etag,
                PartNumber=part.number,
                ProposedSize=part.size,
                MinSizeAllowed=SMALLEST,
            )
    size = sum(part.size for part in parts)
    if (expected := said.get("MpuObjectSize")) is not None and expected != size:
        text = f"The provided 'x-amz-mp-object-size' header value {expected} does not match what was computed: {size}"
        raise invalid_request(text)
    if said.get("ChecksumType") is not None and said["ChecksumType"] != (upload.details.checksum_type or FULL):
        text = f"The upload was created using the {upload.details.checksum_type or 'null'} checksum mode."
        raise invalid_request(f"{text} The complete request must use the same checksum mode.")
    sums = _checksums(upload, parts)
    if upload.algorithm:
        _compare(upload, sums[upload.algorithm], said)
    return Completed(parts, size, etag_of(parts), sums, upload.details.checksum_type or FULL)


def etag_of(parts: Sequence[Part]) -> str:
    digests = b"".join(bytes.fromhex(part.etag) for part in parts)
    return f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"


def _found(upload: MultipartUpload, stored: Mapping[int, Part], asked: Mapping[str, Any], *, composite: bool) -> Part:
    number = asked.get("PartNumber") or 0
    etag = (asked.get("ETag") or "").replace("&quot;", "").strip('"')
    given = {name: asked[f"Checksum{name}"] for name in checksums.LENGTHS if asked.get(f"Checksum{name}")}
    algorithm = upload.algorithm
    if composite and not given:
        text = (
            f"The upload was created using a {algorithm.lower()} checksum. The complete request must include the"
            f" checksum for each part. It was missing for part {number} in the request."
        )
        raise invalid_request(text)
    part = stored.get(number)
    if part is None or part.etag != etag:
        raise _invalid(upload, number, etag)
    for name, value in given.items():
        if algorithm and name != algorithm:
            text = f"The {name.lower()} you specified for part {number} did not match what we received."
            raise error("BadDigest", text, 400)
        if name in part.checksums and part.checksums[name] != value:
            raise _invalid(upload, number, etag)
    return part


def _invalid(upload: MultipartUpload, number: int, etag: str) -> ApiError:
    text = (
        "One or more of the specified parts could not be found.  The part may not have been uploaded, or the"
        " specified entity tag may not match the part's entity tag."
    )
    return error("InvalidPart", text, 400, UploadId=upload.id, PartNumber=number, ETag=etag)


def _checksums(upload: MultipartUpload, parts: Sequence[Part]) -> dict[str, str]:
    algorithm = upload.algorithm or DEFAULT
    digests = [(b64decode(part.checksums[algorithm]), part.size) for part in parts]
    if upload.details.checksum_type == COMPOSITE:
        whole = checksums.digest_of(algorithm, b"".join(digest for digest, _ in digests))
        return {algorithm: f"{b64encode(whole).decode()}-{len(parts)}"}
    return {algorithm: b64encode(checksums.combined(algorithm, digests)).decode()}


def _compare(upload: MultipartUpload, computed: str, said: Mapping[str, Any]) -> None:
    given = {name: said[f"Checksum{name}"] for name in checksums.LENGTHS if said.get(f"Checksum{name}")}
    for name, value in given.items():
        whole = upload.details.checksum_type == FULL and said.get("ChecksumType") != FULL
        same = value in (computed, computed.partition("-")[0]) if "-" in computed else value == computed
        if name != upload.algorithm or not same or whole:
            text = f"The {name.lower()} you specified did not match the calculated checksum."
            raise error("BadDigest", text, 400)
