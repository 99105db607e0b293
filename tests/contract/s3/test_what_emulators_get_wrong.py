"""The list of behaviours that emulators usually get wrong, each by its number, with boto3 and with raw HTTP.

What is tested elsewhere for each of its cases is here once, so that the list is whole.
"""

import base64
import hashlib
import io
import json
import zlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from queue import Queue
from typing import Any

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from lambent.aws import checksums
from lambent.aws.errors import ApiError
from lambent.core.clock import SystemClock
from tests.contract.s3.on_a_port import ACCOUNT, OnAPort, on_a_port

MIB = 1024 * 1024
BIG = 5 * MIB
NS = b'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OnAPort]:
    with on_a_port(tmp_path_factory.mktemp("s3"), SystemClock()) as found:
        yield found


@pytest.fixture
def boto(s3: OnAPort) -> Any:
    return s3.client()


@pytest.fixture
def bucket(boto: Any, request: pytest.FixtureRequest) -> str:
    name = f"b-{hashlib.sha256(request.node.name.encode()).hexdigest()[:12]}"
    boto.create_bucket(Bucket=name)
    return name


def refused(call: Any, **parameters: Any) -> tuple[str, int]:
    """Code and status."""
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    response = caught.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def crc64(content: bytes) -> str:
    return base64.b64encode(checksums.digest_of("CRC64NVME", content)).decode()


def crc32(content: bytes) -> str:
    return base64.b64encode(zlib.crc32(content).to_bytes(4, "big")).decode()


def versioned(boto: Any, bucket: str, status: str = "Enabled") -> None:
    boto.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})


# 1

KEYS = ["a%2Fb", "//a", "a//b", "a/../b", "./a", "a/", "a+b", "a b", "/", "é/ü", "a?b", "a#b", "a&b=c", "%", "a%20b"]


@pytest.mark.parametrize("key", KEYS)
def test_1_a_key_is_decoded_once_and_never_tidied(s3: OnAPort, boto: Any, bucket: str, key: str) -> None:
    boto.put_object(Bucket=bucket, Key=key, Body=key.encode())
    assert boto.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode()
    assert [each["Key"] for each in boto.list_objects_v2(Bucket=bucket)["Contents"]] == [key]


def test_1_an_escaped_slash_is_a_slash(s3: OnAPort, boto: Any, bucket: str) -> None:
    assert s3.raw("PUT", f"/{bucket}/a%2Fb", b"x").status == 200
    assert boto.get_object(Bucket=bucket, Key="a/b")["Body"].read() == b"x"


# 2 and 3


def chunked(content: bytes, trailer: bytes) -> tuple[bytes, dict[str, str]]:
    body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (content[:7], content[7:])) + b"0\r\n"
    return body + trailer + b"\r\n", {
        "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "x-amz-decoded-content-length": str(len(content)),
        "x-amz-trailer": "x-amz-checksum-crc32",
        "Content-Encoding": "aws-chunked,gzip",
    }


def test_2_the_framing_of_aws_chunked_is_not_the_object(s3: OnAPort, boto: Any, bucket: str) -> None:
    content = b"one\r\ntwo;three\r\n0\r\n\r\n"
    body, headers = chunked(content, b"x-amz-checksum-crc32:" + crc32(content).encode() + b"\r\n")
    assert s3.raw("PUT", f"/{bucket}/k", body, headers).status == 200
    found = boto.get_object(Bucket=bucket, Key="k")
    assert (found["Body"].read(), found["ContentLength"], found["ContentEncoding"]) == (content, len(content), "gzip")


def test_3_a_trailer_is_verified_and_told(s3: OnAPort, boto: Any, bucket: str) -> None:
    content = b"some content"
    body, headers = chunked(content, b"x-amz-checksum-crc32:" + crc32(content).encode() + b"\r\n")
    reply = s3.raw("PUT", f"/{bucket}/k", body, headers)
    assert (reply.headers["x-amz-checksum-crc32"], reply.headers["x-amz-checksum-type"]) == (
        crc32(content),
        "FULL_OBJECT",
    )
    body, headers = chunked(content, b"x-amz-checksum-crc32:" + crc32(b"other").encode() + b"\r\n")
    wrong = s3.raw("PUT", f"/{bucket}/l", body, headers)
    assert (wrong.status, wrong.code) == (400, "BadDigest")
    assert wrong.between("Message") == "The CRC32 you specified did not match the calculated checksum."
    assert refused(boto.head_object, Bucket=bucket, Key="l") == ("404", 404)
    assert boto.put_object(Bucket=bucket, Key="m", Body=content)["ChecksumCRC32"] == crc32(content)


# 4 and 5


def test_4_an_upload_without_a_checksum_gets_crc64nvme(s3: OnAPort, boto: Any, bucket: str) -> None:
    assert s3.raw("PUT", f"/{bucket}/k", b"plain").headers["x-amz-checksum-crc64nvme"] == crc64(b"plain")
    found = boto.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert (found["ChecksumCRC64NVME"], found["ChecksumType"]) == (crc64(b"plain"), "FULL_OBJECT")
    assert "ChecksumCRC64NVME" not in boto.head_object(Bucket=bucket, Key="k")


def test_5_a_composite_checksum_counts_its_parts_but_in_attributes(boto: Any, bucket: str) -> None:
    upload = {"Bucket": bucket, "Key": "k"}
    upload["UploadId"] = boto.create_multipart_upload(**upload, ChecksumAlgorithm="SHA1")["UploadId"]
    parts = []
    for number, body in ((1, b"a" * BIG), (2, b"b")):
        part = boto.upload_part(**upload, PartNumber=number, Body=body, ChecksumAlgorithm="SHA1")
        parts.append({"PartNumber": number, "ETag": part["ETag"], "ChecksumSHA1": part["ChecksumSHA1"]})
    done = boto.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    assert done["ChecksumSHA1"].endswith("-2")
    found = boto.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=["Checksum", "ETag"])
    assert found["Checksum"]["ChecksumSHA1"] == done["ChecksumSHA1"].removesuffix("-2")
    assert found["ETag"] == done["ETag"].strip('"')
    for asked, told in (("bytes=0-9", False), (f"bytes=0-{BIG}", True)):
        reply = boto.get_object(Bucket=bucket, Key="k", Range=asked, ChecksumMode="ENABLED")
        reply["Body"].close()
        assert ("ChecksumSHA1" in reply) is told, asked


# 6


def test_6_heads_have_no_body_and_errors_no_namespace(s3: OnAPort, boto: Any, bucket: str) -> None:
    head = s3.raw("HEAD", f"/{bucket}/none")
    assert (head.status, head.body) == (404, b"")
    boto.put_object(Bucket=bucket, Key="k", Body=b"x")
    gone = s3.raw("DELETE", f"/{bucket}/k")
    assert (gone.status, gone.body) == (204, b"")
    assert not {"content-length", "content-type"} & gone.headers.keys()
    error = s3.raw("GET", f"/{bucket}/none")
    assert error.body.startswith(b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>NoSuchKey</Code><Message>')
    assert b"xmlns" not in error.body
    assert error.between("Key") == "none"
    assert error.between("RequestId") == error.headers["x-amz-request-id"]
    assert error.between("HostId") == error.headers["x-amz-id-2"]
    assert NS in s3.raw("GET", f"/{bucket}").body
    etag = s3.raw("PUT", f"/{bucket}/k", b"x").headers["etag"]
    same = s3.raw("GET", f"/{bucket}/k", headers={"If-None-Match": etag})
    assert (same.status, same.body, same.headers["etag"]) == (304, b"", etag)


# 7


def test_7_etags_are_digests_with_their_quotes(s3: OnAPort, boto: Any, bucket: str) -> None:
    md5 = hashlib.md5(b"content").hexdigest()
    assert boto.put_object(Bucket=bucket, Key="k", Body=b"content")["ETag"] == f'"{md5}"'
    boto.upload_fileobj(
        io.BytesIO(b"a" * BIG + b"b"),
        bucket,
        "m",
        Config=TransferConfig(multipart_threshold=BIG, multipart_chunksize=BIG),
    )
    digests = hashlib.md5(b"a" * BIG).digest() + hashlib.md5(b"b").digest()
    assert boto.head_object(Bucket=bucket, Key="m")["ETag"] == f'"{hashlib.md5(digests).hexdigest()}-2"'
    copied = boto.copy_object(Bucket=bucket, Key="c", CopySource=f"{bucket}/m")["CopyObjectResult"]
    assert copied["ETag"] == f'"{hashlib.md5(b"a" * BIG + b"b").hexdigest()}"'
    listed = s3.raw("GET", f"/{bucket}?prefix=k").between("ETag")
    assert listed in (f'"{md5}"', f"&quot;{md5}&quot;")
    assert boto.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=["ETag"])["ETag"] == md5
    assert boto.get_object(Bucket=bucket, Key="k", IfMatch=md5)["Body"].read() == b"content"


# 8 and 9


def begun(boto: Any, bucket: str, *bodies: bytes) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    upload = {"Bucket": bucket, "Key": "k"}
    upload["UploadId"] = boto.create_multipart_upload(**upload)["UploadId"]
    parts = [
        {"PartNumber": number, "ETag": boto.upload_part(**upload, PartNumber=number, Body=body)["ETag"]}
        for number, body in enumerate(bodies, 1)
    ]
    return upload, parts


def test_8_completing_is_refused_before_it_is_answered_and_may_be_repeated(boto: Any, bucket: str) -> None:
    upload, parts = begun(boto, bucket, b"a", b"b")
    assert refused(boto.complete_multipart_upload, **upload, MultipartUpload={"Parts": parts}) == (
        "EntityTooSmall",
        400,
    )
    one = boto.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts[1:]})
    again = boto.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts[1:]})
    assert one["ETag"] == again["ETag"]
    assert boto.get_object(Bucket=bucket, Key="k")["Body"].read() == b"b"
    assert refused(boto.complete_multipart_upload, **upload, MultipartUpload={"Parts": parts[:1]})[1] == 404


def test_9_what_is_wrong_with_parts_is_told_in_its_order(s3: OnAPort, boto: Any, bucket: str) -> None:
    upload, parts = begun(boto, bucket, b"a", b"b")

    def said(*listed: tuple[int, str]) -> tuple[str, ...]:
        each = "".join(f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>" for number, etag in listed)
        body = f"<CompleteMultipartUpload>{each}</CompleteMultipartUpload>".encode()
        reply = s3.raw("POST", f"/{bucket}/k?uploadId={upload['UploadId']}", body)
        assert reply.status == 400
        return tuple(filter(None, (reply.code, *(reply.between(name) for name in ("PartNumber", "ETag", "UploadId")))))

    first, second = (part["ETag"].strip('"') for part in parts)
    id = upload["UploadId"]
    assert said((2, second), (1, "wrong")) == ("InvalidPartOrder", id)
    assert said((1, first), (2, "wrong")) == ("InvalidPart", "2", "wrong", id)
    assert said((1, first), (3, second)) == ("InvalidPart", "3", second, id)
    small = said((1, f"&quot;{first}&quot;"), (2, second))
    assert small == ("EntityTooSmall", "1", first)
    assert said() in (("InvalidRequest",), ("MalformedXML",))


# 10 to 13


def filled(boto: Any, bucket: str, *keys: str) -> None:
    for key in keys:
        boto.put_object(Bucket=bucket, Key=key, Body=b"")


def test_10_prefixes_count_once_and_the_marker_comes_with_a_delimiter_alone(boto: Any, bucket: str) -> None:
    filled(boto, bucket, "a/1", "a/2", "b", "c/1", "d")
    plain = boto.list_objects(Bucket=bucket, MaxKeys=2)
    assert ("NextMarker" in plain, plain["IsTruncated"]) == (False, True)
    page = boto.list_objects(Bucket=bucket, MaxKeys=2, Delimiter="/")
    assert [each["Prefix"] for each in page["CommonPrefixes"]] == ["a/"]
    assert [each["Key"] for each in page["Contents"]] == ["b"]
    assert page["NextMarker"] == "b"
    page = boto.list_objects(Bucket=bucket, MaxKeys=1, Delimiter="/")
    assert page["NextMarker"] == "a/"
    after = boto.list_objects(Bucket=bucket, Delimiter="/", Marker="a/")
    assert [each["Prefix"] for each in after["CommonPrefixes"]] == ["c/"]
    pages = boto.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Delimiter="/", PaginationConfig={"PageSize": 1}
    )
    seen = [
        (page["KeyCount"], *(each["Prefix"] for each in page.get("CommonPrefixes", ())), *(
            each["Key"] for each in page.get("Contents", ())
        ))
        for page in pages
    ]  # fmt: skip
    assert seen == [(1, "a/"), (1, "b"), (1, "c/"), (1, "d")]


def test_11_lists_are_in_the_order_of_bytes(boto: Any, bucket: str) -> None:
    keys = ["Z", "a", "B", "é", "\uffff", "\U0001f600", "a b", "a+b", "a/b", "ab", "~"]
    filled(boto, bucket, *keys)
    found = [each["Key"] for each in boto.list_objects_v2(Bucket=bucket)["Contents"]]
    assert found == sorted(keys, key=lambda key: key.encode())


def test_12_an_encoding_is_of_all_names_and_of_no_token(s3: OnAPort, boto: Any, bucket: str) -> None:
    filled(boto, bucket, "a b/c+d=é", "a b/x", "z")
    page = s3.raw("GET", f"/{bucket}?list-type=2&encoding-type=url&max-keys=1&prefix=a%20b/&start-after=a%20")
    assert page.between("Key") == "a+b/c%2Bd%3D%C3%A9"
    assert (page.between("Prefix"), page.between("StartAfter")) == ("a+b/", "a+")
    assert page.between("EncodingType") == "url"
    token = page.between("NextContinuationToken")
    other = s3.raw("GET", f"/{bucket}?list-type=2&max-keys=1&prefix=a%20b/")
    assert (other.between("Key"), other.between("NextContinuationToken")) == ("a b/c+d=é", token)
    bad = s3.raw("GET", f"/{bucket}?encoding-type=base64")
    assert (bad.code, bad.between("Message")) == ("InvalidArgument", "Invalid Encoding Method specified in Request")
    delimited = s3.raw("GET", f"/{bucket}?encoding-type=url&delimiter=%20")
    assert (delimited.between("Delimiter"), delimited.between("CommonPrefixes")) == ("+", "<Prefix>a+</Prefix>")


def test_13_a_key_marker_is_behind_all_versions_of_its_key(boto: Any, bucket: str) -> None:
    versioned(boto, bucket)
    filled(boto, bucket, "a", "a", "b")
    found = boto.list_object_versions(Bucket=bucket, KeyMarker="a")
    assert [each["Key"] for each in found["Versions"]] == ["b"]
    first = boto.list_object_versions(Bucket=bucket, MaxKeys=1)
    assert first["NextVersionIdMarker"] == first["Versions"][0]["VersionId"]
    rest = boto.list_object_versions(
        Bucket=bucket, KeyMarker=first["NextKeyMarker"], VersionIdMarker=first["NextVersionIdMarker"]
    )
    assert [(each["Key"], each["IsLatest"]) for each in rest["Versions"]] == [("a", False), ("b", True)]


# 14 to 16


def test_14_a_delete_of_what_is_not_there_succeeds_and_leaves_a_marker(boto: Any, bucket: str) -> None:
    assert boto.delete_object(Bucket=bucket, Key="never")["ResponseMetadata"]["HTTPStatusCode"] == 204
    versioned(boto, bucket)
    gone = boto.delete_object(Bucket=bucket, Key="never")
    assert gone["DeleteMarker"] is True
    assert [each["Key"] for each in boto.list_object_versions(Bucket=bucket)["DeleteMarkers"]] == ["never"]


def test_15_suspended_versioning_replaces_the_null_version_and_tells_no_id(boto: Any, bucket: str) -> None:
    filled(boto, bucket, "k")
    versioned(boto, bucket)
    id = boto.put_object(Bucket=bucket, Key="k", Body=b"2")["VersionId"]
    versioned(boto, bucket, "Suspended")
    for body in (b"3", b"4"):
        assert "VersionId" not in boto.put_object(Bucket=bucket, Key="k", Body=body)
    assert boto.head_object(Bucket=bucket, Key="k")["VersionId"] == "null"
    found = boto.list_object_versions(Bucket=bucket)["Versions"]
    assert [each["VersionId"] for each in found] == ["null", id]
    assert boto.copy_object(Bucket=bucket, Key="c", CopySource=f"{bucket}/k")["VersionId"] == "null"


def test_16_a_marker_is_405_by_its_id_and_404_with_its_header_without(s3: OnAPort, boto: Any, bucket: str) -> None:
    versioned(boto, bucket)
    filled(boto, bucket, "k")
    id = boto.delete_object(Bucket=bucket, Key="k")["VersionId"]
    hidden = s3.raw("GET", f"/{bucket}/k")
    assert (hidden.status, hidden.headers["x-amz-delete-marker"], hidden.headers["x-amz-version-id"]) == (
        404,
        "true",
        id,
    )
    marker = s3.raw("GET", f"/{bucket}/k?versionId={id}")
    assert (marker.status, marker.code, marker.headers["allow"]) == (405, "MethodNotAllowed", "DELETE")
    assert (marker.between("Method"), marker.between("ResourceType")) == ("GET", "DeleteMarker")
    assert "last-modified" in marker.headers
    assert s3.raw("HEAD", f"/{bucket}/k?versionId={id}").status == 405


# 17


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_17_urls_of_both_versions_are_good(s3: OnAPort, bucket: str, version: str) -> None:
    api = s3.client(signature_version=version)
    for operation, method, body in (
        ("put_object", "PUT", b"x"),
        ("get_object", "GET", b""),
        ("head_object", "HEAD", b""),
    ):
        url = api.generate_presigned_url(operation, Params={"Bucket": bucket, "Key": "a b+c"}, ExpiresIn=60)
        assert ("AWSAccessKeyId" in url) is (version == "s3")
        assert s3.raw(method, url.removeprefix(s3.url), body, signed=False).status == 200


def test_17_the_condition_of_a_write_is_decided_with_it(s3: OnAPort, boto: Any, bucket: str) -> None:
    assert refused(boto.put_object, Bucket=bucket, Key="k", Body=b"", IfMatch='"x"') == ("NoSuchKey", 404)

    def first(number: int) -> bool:
        return s3.raw("PUT", f"/{bucket}/k", b"%d" % number, {"If-None-Match": "*"}).status == 200

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(first, range(16))) == 1
    assert refused(boto.put_object, Bucket=bucket, Key="k", Body=b"", IfNoneMatch="*") == ("PreconditionFailed", 412)
    assert refused(boto.put_object, Bucket=bucket, Key="k", Body=b"", IfNoneMatch="x") == ("NotImplemented", 501)


# 18


def test_18_dates_are_compared_by_the_second_and_the_future_is_passed_over(boto: Any, bucket: str) -> None:
    filled(boto, bucket, "k")
    modified = boto.head_object(Bucket=bucket, Key="k")["LastModified"]
    assert refused(boto.get_object, Bucket=bucket, Key="k", IfModifiedSince=modified)[1] == 304
    future = datetime.now(UTC) + timedelta(days=1)
    assert boto.get_object(Bucket=bucket, Key="k", IfModifiedSince=future)["Body"].read() == b""
    assert boto.get_object(Bucket=bucket, Key="k", IfUnmodifiedSince=modified)["Body"].read() == b""
    before = modified - timedelta(seconds=1)
    assert refused(boto.get_object, Bucket=bucket, Key="k", IfUnmodifiedSince=before) == ("PreconditionFailed", 412)


# 19


@pytest.mark.parametrize(
    ("asked", "status", "content"),
    [
        ("bytes=2-1", 200, b"0123456789"),
        ("bytes=-1-", 200, b"0123456789"),
        ("bytes=0-1,3-4", 200, b"0123456789"),
        ("lines=0-1", 200, b"0123456789"),
        ("bytes=-20", 206, b"0123456789"),
        ("bytes=8-20", 206, b"89"),
        ("bytes=-3", 206, b"789"),
        ("bytes=10-", 416, None),
        ("bytes=-0", 416, None),
    ],
)
def test_19_a_range_that_is_none_is_the_whole(
    s3: OnAPort, boto: Any, bucket: str, asked: str, status: int, content: bytes | None
) -> None:
    boto.put_object(Bucket=bucket, Key="k", Body=b"0123456789")
    reply = s3.raw("GET", f"/{bucket}/k", headers={"Range": asked})
    assert reply.status == status
    if content is None:
        assert (reply.code, reply.headers["content-range"]) == ("InvalidRange", "bytes */10")
        assert (reply.between("RangeRequested"), reply.between("ActualObjectSize")) == (asked, "10")
    else:
        assert reply.body == content


# 20


def test_20_the_region_of_a_bucket_is_asked_for_as_aws_wants_it(s3: OnAPort, boto: Any, bucket: str) -> None:
    def make(api: Any, name: str, constraint: str | None) -> Any:
        more = {} if constraint is None else {"CreateBucketConfiguration": {"LocationConstraint": constraint}}
        return api.create_bucket(Bucket=name, **more)

    far = s3.client(region="eu-west-3")
    assert refused(lambda: make(boto, "region-a", "us-east-1")) == ("InvalidLocationConstraint", 400)
    assert refused(lambda: make(boto, "region-a", "nowhere")) == ("InvalidLocationConstraint", 400)
    unspecified = ("IllegalLocationConstraintException", 400)
    assert refused(lambda: make(far, "region-a", None)) == unspecified
    assert refused(lambda: make(far, "region-a", "us-east-1")) == unspecified
    assert make(far, "region-a", "eu-west-3")["Location"] == "http://region-a.s3.amazonaws.com/"
    assert refused(lambda: make(far, "region-a", "eu-west-3")) == ("BucketAlreadyOwnedByYou", 409)
    assert make(boto, bucket, None)["Location"] == f"/{bucket}"
    assert boto.get_bucket_location(Bucket="region-a")["LocationConstraint"] == "eu-west-3"
    assert boto.get_bucket_location(Bucket=bucket)["LocationConstraint"] is None
    assert s3.raw("GET", f"/{bucket}?location").body.endswith(b"<LocationConstraint %s/>" % NS)
    other = s3.client(account="222222222222")
    assert refused(other.create_bucket, Bucket=bucket) == ("BucketAlreadyExists", 409)
    assert boto.put_object(Bucket="region-a", Key="k", Body=b"x")["ETag"]


# 21


def test_21_a_copy_keeps_or_replaces_metadata_whole(boto: Any, bucket: str) -> None:
    boto.put_object(
        Bucket=bucket,
        Key="k",
        Body=b"x",
        Metadata={"One": "1", "two_2": "2"},
        ContentType="text/plain",
        CacheControl="no-cache",
        StorageClass="STANDARD_IA",
        Tagging="a=b",
        WebsiteRedirectLocation="/else",
    )
    assert boto.head_object(Bucket=bucket, Key="k")["Metadata"] == {"one": "1", "two_2": "2"}
    source = f"{bucket}/k"
    assert refused(boto.copy_object, Bucket=bucket, Key="k", CopySource=source) == ("InvalidRequest", 400)
    boto.copy_object(Bucket=bucket, Key="c", CopySource=source, Metadata={"three": "3"}, ContentType="text/html")
    kept = boto.head_object(Bucket=bucket, Key="c")
    assert (kept["Metadata"], kept["ContentType"]) == ({"one": "1", "two_2": "2"}, "text/plain")
    assert "StorageClass" not in kept
    assert "WebsiteRedirectLocation" not in kept
    assert boto.get_object_tagging(Bucket=bucket, Key="c")["TagSet"] == [{"Key": "a", "Value": "b"}]
    boto.copy_object(
        Bucket=bucket, Key="c", CopySource=source, MetadataDirective="REPLACE", Metadata={"three": "3"}, Tagging="c=d"
    )
    new = boto.head_object(Bucket=bucket, Key="c")
    assert (new["Metadata"], new["ContentType"], new.get("CacheControl")) == (
        {"three": "3"},
        "binary/octet-stream",
        None,
    )
    assert boto.get_object_tagging(Bucket=bucket, Key="c")["TagSet"] == [{"Key": "a", "Value": "b"}]
    boto.copy_object(Bucket=bucket, Key="c", CopySource=source, TaggingDirective="REPLACE", Tagging="c=d")
    assert boto.get_object_tagging(Bucket=bucket, Key="c")["TagSet"] == [{"Key": "c", "Value": "d"}]


# 22: test_sub_resources


def test_22_a_new_bucket_has_the_defaults_that_terraform_reads(s3: OnAPort, boto: Any, bucket: str) -> None:
    for asked, status in (
        *((name, 200) for name in ("acl", "versioning", "logging", "encryption", "requestPayment", "accelerate")),
        *((name, 200) for name in ("location", "notification", "ownershipControls", "publicAccessBlock")),
        *((name, 404) for name in ("cors", "website", "lifecycle", "replication", "object-lock", "policy", "tagging")),
    ):
        assert s3.raw("GET", f"/{bucket}?{asked}").status == status, asked
    assert s3.raw("PUT", f"/{bucket}/k", b"x").headers["x-amz-server-side-encryption"] == "AES256"
    assert boto.head_object(Bucket=bucket, Key="k")["ServerSideEncryption"] == "AES256"


# 23


def test_23_cors_is_told_on_actual_requests_and_refuses_none(s3: OnAPort, boto: Any, bucket: str) -> None:
    rules = [
        {
            "AllowedMethods": ["GET"],
            "AllowedOrigins": ["https://a.test"],
            "ExposeHeaders": ["ETag"],
            "MaxAgeSeconds": 5,
        },
        {"AllowedMethods": ["PUT"], "AllowedOrigins": ["*"], "AllowedHeaders": ["*"]},
    ]
    boto.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": rules})
    boto.put_object(Bucket=bucket, Key="k", Body=b"x")
    page = s3.raw("GET", f"/{bucket}/k", headers={"Origin": "https://a.test"})
    assert (page.status, page.headers["access-control-allow-origin"]) == (200, "https://a.test")
    assert page.headers["access-control-allow-credentials"] == "true"
    assert page.headers["access-control-expose-headers"] == "ETag"
    assert page.headers["vary"] == "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"
    other = s3.raw("GET", f"/{bucket}/k", headers={"Origin": "https://b.test"})
    assert (other.status, "access-control-allow-origin" in other.headers) == (200, False)
    asked = {
        "Origin": "https://b.test",
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "X-A",
    }
    flight = s3.raw("OPTIONS", f"/{bucket}/k", headers=asked, signed=False)
    assert (flight.status, flight.body, flight.headers["access-control-allow-origin"]) == (200, b"", "*")
    assert "access-control-allow-credentials" not in flight.headers
    assert flight.headers["access-control-allow-headers"] == "x-a"
    missing = s3.raw("GET", f"/{bucket}/none", headers={"Origin": "https://a.test"})
    assert (missing.status, missing.headers["access-control-allow-origin"]) == (404, "https://a.test")


# 24 and 25; more of both in tests/unit/services/s3/test_notification_*.py and tests/e2e/test_s3_notifications.py

QUEUE, FUNCTION = f"arn:aws:sqs:us-east-1:{ACCOUNT}:q", f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:f"


@pytest.fixture
def told(s3: OnAPort) -> Queue[dict[str, Any]]:
    """What the queue `q` is sent. It lets every bucket in, and so does the function."""
    sent: Queue[dict[str, Any]] = Queue()

    def send(asked: Mapping[str, Any]) -> dict[str, Any]:
        sent.put(json.loads(asked["MessageBody"]))
        return {}

    statement = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": QUEUE}
    policy = {"Attributes": {"Policy": json.dumps({"Statement": [statement]})}}
    s3.caller.answers |= {
        ("sqs", "GetQueueUrl"): {"QueueUrl": "q"},
        ("sqs", "GetQueueAttributes"): policy,
        ("sqs", "SendMessage"): send,
        ("lambda", "Invoke"): {},
    }
    return sent


def notify(boto: Any, bucket: str, *events: str, **more: Any) -> None:
    configuration = {"QueueConfigurations": [{"QueueArn": QUEUE, "Events": list(events)}], **more}
    boto.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=configuration)


def test_24_an_event_has_what_aws_sends_and_no_more(boto: Any, bucket: str, told: Queue[dict[str, Any]]) -> None:
    notify(boto, bucket, "s3:ObjectCreated:*", "s3:ObjectRemoved:*")
    assert told.get(timeout=20)["Event"] == "s3:TestEvent"
    key = "in/a@b c+é.jpg"
    events = []
    for _ in range(2):
        boto.put_object(Bucket=bucket, Key=key, Body=b"content")
        events.append(told.get(timeout=20)["Records"])
    boto.delete_object(Bucket=bucket, Key=key)
    events.append(told.get(timeout=20)["Records"])
    boto.delete_object(Bucket=bucket, Key="never")
    events.append(told.get(timeout=20)["Records"])
    assert [len(records) for records in events] == [1, 1, 1, 1]
    created, again, removed, never = (records[0] for records in events)
    assert (created["eventName"], removed["eventName"]) == ("ObjectCreated:Put", "ObjectRemoved:Delete")
    assert created["s3"]["object"].keys() == {"key", "size", "eTag", "sequencer"}
    assert created["s3"]["object"]["eTag"] == hashlib.md5(b"content").hexdigest()
    assert created["s3"]["object"]["key"] == "in/a%40b+c%2B%C3%A9.jpg"
    assert removed["s3"]["object"].keys() == never["s3"]["object"].keys() == {"key", "sequencer"}
    order = [event["s3"]["object"]["sequencer"] for event in (created, again, removed)]
    assert order == sorted(set(order))
    assert "null" not in json.dumps(events)


def test_25_a_notification_is_kept_when_all_of_it_is_good(
    s3: OnAPort, boto: Any, bucket: str, told: Queue[dict[str, Any]]
) -> None:
    notify(boto, bucket, "s3:ObjectCreated:*")
    assert told.get(timeout=20)["Bucket"] == bucket
    before = boto.get_bucket_notification_configuration(Bucket=bucket)["QueueConfigurations"]
    overlapping = {
        "LambdaFunctionConfigurations": [{"LambdaFunctionArn": FUNCTION, "Events": ["s3:ObjectCreated:Put"]}]
    }
    assert refused(lambda: notify(boto, bucket, "s3:ObjectCreated:*", **overlapping)) == ("InvalidArgument", 400)
    s3.caller.answers[("lambda", "Invoke")] = ApiError("AccessDeniedException", "no", status=403)
    s3.caller.answers[("sqs", "GetQueueUrl")] = ApiError("QueueDoesNotExist", "none", status=400)
    with pytest.raises(ClientError) as caught:
        notify(boto, bucket, "s3:ObjectRemoved:*", **overlapping)
    error = caught.value.response["Error"]
    assert error["Message"] == "Unable to validate the following destination configurations"
    said = {error[f"ArgumentName{number}"]: error[f"ArgumentValue{number}"] for number in (1, 2)}
    assert said == {
        QUEUE: "The destination queue does not exist",
        f"{FUNCTION}, null": f"Not authorized to invoke function [{FUNCTION}]",
    }
    s3.caller.answers[("sqs", "GetQueueUrl")] = {"QueueUrl": "q"}
    s3.caller.answers[("sqs", "GetQueueAttributes")] = {}
    with pytest.raises(ClientError, match="Unable to validate") as caught:
        notify(boto, bucket, "s3:ObjectRemoved:*")
    text = "Permissions on the destination queue do not allow S3 to publish notifications from this bucket"
    assert caught.value.response["Error"]["ArgumentValue1"] == text
    assert boto.get_bucket_notification_configuration(Bucket=bucket)["QueueConfigurations"] == before
    assert told.empty()
