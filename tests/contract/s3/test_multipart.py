"""Multipart uploads: what completes, what is refused and leaves the upload usable, and what is listed."""

import base64
import hashlib
from typing import Any

from lambent.aws import checksums
from tests.contract.s3.conftest import Client

MIB = 1024 * 1024
FIRST, LAST = b"a" * (5 * MIB), b"bcd"


async def begun(s3: Client, **parameters: Any) -> dict[str, Any]:
    upload = await s3.create_multipart_upload(Bucket="photos", Key="k", **parameters)
    return {"Bucket": "photos", "Key": "k", "UploadId": upload["UploadId"]}


async def parts(s3: Client, upload: dict[str, Any], *bodies: bytes, **parameters: Any) -> list[dict[str, Any]]:
    sent = []
    for number, body in enumerate(bodies, 1):
        part = await s3.upload_part(**upload, PartNumber=number, Body=body, **parameters)
        sums = {name: value for name, value in part.items() if name.startswith("Checksum")}
        sent.append({"PartNumber": number, "ETag": part["ETag"], **sums})
    return sent


async def test_parts_become_one_object_at_once(s3: Client, bucket: str) -> None:
    upload = await begun(s3)
    sent = await parts(s3, upload, FIRST, LAST)
    assert await s3.refused("head_object", Bucket=bucket, Key="k") == ("404", 404)
    done = await s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": sent})
    digests = b"".join(hashlib.md5(body).digest() for body in (FIRST, LAST))
    assert done["ETag"] == f'"{hashlib.md5(digests).hexdigest()}-2"'
    whole = base64.b64encode(checksums.digest_of("CRC64NVME", FIRST + LAST)).decode()
    assert (done["ChecksumCRC64NVME"], done["ChecksumType"]) == (whole, "FULL_OBJECT")
    assert (await s3.get_object(Bucket=bucket, Key="k"))["Body"].read() == FIRST + LAST
    edge = await s3.get_object(Bucket=bucket, Key="k", Range=f"bytes={5 * MIB - 1}-{5 * MIB}")
    assert edge["Body"].read() == b"ab"
    second = await s3.get_object(Bucket=bucket, Key="k", PartNumber=2)
    assert (second["Body"].read(), second["PartsCount"]) == (LAST, 2)
    assert await s3.refused("get_object", Bucket=bucket, Key="k", PartNumber=3) == ("InvalidPartNumber", 416)
    again = await s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": sent})
    assert again["ETag"] == done["ETag"]
    assert await s3.refused("list_parts", **upload) == ("NoSuchUpload", 404)


async def test_composite_checksums_count_their_parts(s3: Client, bucket: str) -> None:
    upload = await begun(s3, ChecksumAlgorithm="SHA256")
    sent = await parts(s3, upload, FIRST, LAST, ChecksumAlgorithm="SHA256")
    without = [{"PartNumber": part["PartNumber"], "ETag": part["ETag"]} for part in sent]
    refused = await s3.refused("complete_multipart_upload", **upload, MultipartUpload={"Parts": without})
    assert refused == ("InvalidRequest", 400)
    done = await s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": sent})
    digests = b"".join(hashlib.sha256(body).digest() for body in (FIRST, LAST))
    composite = base64.b64encode(hashlib.sha256(digests).digest()).decode()
    assert (done["ChecksumSHA256"], done["ChecksumType"]) == (f"{composite}-2", "COMPOSITE")
    found = await s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=["Checksum", "ObjectParts"])
    assert found["Checksum"]["ChecksumSHA256"] == composite
    assert [part["Size"] for part in found["ObjectParts"]["Parts"]] == [5 * MIB, 3]


async def test_full_object_crcs_are_of_the_whole(s3: Client, bucket: str) -> None:
    upload = await begun(s3, ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")
    sent = await parts(s3, upload, FIRST, LAST, ChecksumAlgorithm="CRC32")
    done = await s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": sent})
    assert done["ChecksumCRC32"] == base64.b64encode(checksums.digest_of("CRC32", FIRST + LAST)).decode()


async def test_a_refused_completion_leaves_the_upload_as_it_was(s3: Client, bucket: str) -> None:
    upload = await begun(s3)
    sent = await parts(s3, upload, b"small", LAST)

    async def refused(*asked: dict[str, Any]) -> str:
        return (await s3.refused("complete_multipart_upload", **upload, MultipartUpload={"Parts": list(asked)}))[0]

    assert await refused(sent[1], sent[0]) == "InvalidPartOrder"
    assert await refused(sent[0], sent[0]) == "InvalidPartOrder"
    assert await refused({"PartNumber": 1, "ETag": '"no"'}) == "InvalidPart"
    assert await refused({"PartNumber": 7, "ETag": sent[0]["ETag"]}) == "InvalidPart"
    assert await refused(*sent) == "EntityTooSmall"
    await s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": sent[1:]})
    assert (await s3.get_object(Bucket=bucket, Key="k"))["Body"].read() == LAST
    assert len([path for path in s3.root.rglob("*") if path.is_file()]) <= 2


async def test_an_aborted_upload_is_gone_with_its_parts(s3: Client, bucket: str) -> None:
    upload = await begun(s3)
    await parts(s3, upload, LAST)
    await s3.abort_multipart_upload(**upload)
    assert await s3.refused("abort_multipart_upload", **upload) == ("NoSuchUpload", 404)
    assert await s3.refused("upload_part", **upload, PartNumber=1, Body=b"") == ("NoSuchUpload", 404)
    assert await s3.refused("upload_part", **upload, PartNumber=0, Body=b"") == ("InvalidArgument", 400)


async def test_parts_are_listed_and_replaced_by_their_numbers(s3: Client, bucket: str) -> None:
    upload = await begun(s3)
    await parts(s3, upload, b"one", b"two", b"three")
    await s3.upload_part(**upload, PartNumber=2, Body=b"second")
    page = await s3.list_parts(**upload, MaxParts=2)
    assert [part["Size"] for part in page["Parts"]] == [3, 6]
    assert (page["IsTruncated"], page["NextPartNumberMarker"]) == (True, 2)
    rest = await s3.list_parts(**upload, PartNumberMarker=2)
    assert [part["PartNumber"] for part in rest["Parts"]] == [3]
    listed = await s3.list_multipart_uploads(Bucket=bucket)
    assert [each["UploadId"] for each in listed["Uploads"]] == [upload["UploadId"]]
    assert listed["NextUploadIdMarker"] == upload["UploadId"]


async def test_a_part_is_copied_from_another_object(s3: Client, bucket: str) -> None:
    await s3.put_object(Bucket=bucket, Key="source", Body=b"0123456789")
    upload = await begun(s3)
    source = {"Bucket": bucket, "Key": "source"}
    where = {**upload, "PartNumber": 1, "CopySource": source}
    part = (await s3.upload_part_copy(**where, CopySourceRange="bytes=2-4"))["CopyPartResult"]
    done = [{"PartNumber": 1, "ETag": part["ETag"]}]
    assert await s3.refused("upload_part_copy", **where, CopySourceRange="bytes=2-10") == ("InvalidArgument", 400)
    assert await s3.refused("upload_part_copy", **where, CopySourceRange="2-4") == ("InvalidArgument", 400)
    await s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": done})
    assert (await s3.get_object(Bucket=bucket, Key="k"))["Body"].read() == b"234"
    await s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "k"})
    assert (await s3.head_object(Bucket=bucket, Key="copy"))["ETag"] == f'"{hashlib.md5(b"234").hexdigest()}"'


async def test_the_first_to_complete_wins_where_nothing_may_be_there(s3: Client, bucket: str) -> None:
    first, second = await begun(s3), await begun(s3)
    whole = {"MultipartUpload": {"Parts": await parts(s3, first, LAST)}, "IfNoneMatch": "*"}
    await parts(s3, second, LAST)
    await s3.complete_multipart_upload(**first, **whole)
    refused = await s3.refused("complete_multipart_upload", **second, **whole)
    assert refused == ("PreconditionFailed", 412)
