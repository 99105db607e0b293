"""PutObject, GetObject, HeadObject and DeleteObject, with and without versions."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from lambent.aws.errors import ApiError
from lambent.aws.streams import Upload
from tests.unit.services.s3.conftest import S3, read


async def test_what_is_put_is_got_with_everything_that_was_said_of_it(s3: S3) -> None:
    await s3.bucket()
    put = await s3.put("a/b", b"hello", ContentType="text/plain", Metadata={"Word": "x"}, Tagging="k=v&e=")
    got = await s3("GetObject", Bucket="bkt", Key="a/b", ChecksumMode="ENABLED")
    assert put["ETag"] == got["ETag"] == f'"{hashlib.md5(b"hello").hexdigest()}"'
    assert put["ServerSideEncryption"] == "AES256"
    assert put["ChecksumCRC64NVME"] == got["ChecksumCRC64NVME"]
    assert (put["ChecksumType"], got["ContentType"], got["Metadata"]) == ("FULL_OBJECT", "text/plain", {"word": "x"})
    assert (got["ContentLength"], got["TagCount"], got["AcceptRanges"]) == (5, 2, "bytes")
    assert "VersionId" not in got
    assert "StorageClass" not in got
    assert await read(got) == b"hello"


async def test_an_object_has_the_default_type_of_s3(s3: S3) -> None:
    await s3.bucket()
    await s3.put("k")
    assert (await s3("HeadObject", Bucket="bkt", Key="k"))["ContentType"] == "binary/octet-stream"


async def test_aws_chunked_is_no_encoding_of_the_object(s3: S3) -> None:
    await s3.bucket()
    await s3.put("k", b"x", ContentEncoding="aws-chunked")
    assert "ContentEncoding" not in await s3("HeadObject", Bucket="bkt", Key="k")
    await s3.put("k", b"x", ContentEncoding="gzip,aws-chunked")
    assert (await s3("HeadObject", Bucket="bkt", Key="k"))["ContentEncoding"] == "gzip"


@pytest.mark.parametrize("key", ["/a", "a//b", "a/../b", "a/", "a%2Fb", "a+b", "\u00e9", "\U0001f600"])
async def test_a_key_is_what_was_sent(s3: S3, key: str) -> None:
    await s3.bucket()
    await s3.put(key, key.encode())
    assert await s3.get(key) == key.encode()
    assert [entry["Key"] for entry in (await s3("ListObjects", Bucket="bkt"))["Contents"]] == [key]


async def test_a_new_object_takes_the_place_of_the_old_one_and_of_its_file(s3: S3) -> None:
    await s3.bucket()
    await s3.put("k", b"one")
    await s3.put("k", b"two")
    assert await s3.get("k") == b"two"
    await s3.service.objects.files.run(lambda: None)
    assert len(s3.files()) == 1


async def test_what_is_read_stays_while_it_is_read(s3: S3) -> None:
    await s3.bucket()
    await s3.put("k", b"one")
    got = await s3("GetObject", Bucket="bkt", Key="k")
    await s3("DeleteObject", Bucket="bkt", Key="k")
    assert await read(got) == b"one"


async def test_a_body_that_fails_leaves_nothing_behind(s3: S3) -> None:
    await s3.bucket()

    async def chunks() -> AsyncIterator[bytes]:
        yield b"x" * 100_000
        raise ApiError("BadDigest", "no", status=400)

    with pytest.raises(ApiError):
        await s3("PutObject", Bucket="bkt", Key="k", Body=Upload(chunks()))
    assert s3.files() == []
    assert (await s3.error("GetObject", Bucket="bkt", Key="k")).code == "NoSuchKey"


async def test_a_missing_key_is_told_with_its_name(s3: S3) -> None:
    await s3.bucket()
    error = await s3.error("GetObject", Bucket="bkt", Key="no")
    assert (error.code, error.status, error.message) == ("NoSuchKey", 404, "The specified key does not exist.")
    assert error.members == {"Key": "no"}


async def test_a_missing_bucket_is_told_with_its_name(s3: S3) -> None:
    error = await s3.error("GetObject", Bucket="nothing", Key="k")
    assert (error.code, error.status, error.members) == ("NoSuchBucket", 404, {"BucketName": "nothing"})


async def test_deleting_what_is_not_there_succeeds_and_is_told(s3: S3) -> None:
    await s3.bucket()
    assert await s3("DeleteObject", Bucket="bkt", Key="no") == {}
    assert s3.told.events == ["ObjectRemoved:Delete"]


async def test_versions_stay_below_the_latest_one(s3: S3) -> None:
    await s3.bucket("Enabled")
    first = (await s3.put("k", b"one"))["VersionId"]
    second = (await s3.put("k", b"two"))["VersionId"]
    assert first != second
    assert len(first) == 32
    assert await s3.get("k") == b"two"
    assert await s3.get("k", VersionId=first) == b"one"


async def test_a_delete_marker_hides_a_key_and_is_told_on_the_404(s3: S3) -> None:
    await s3.bucket("Enabled")
    await s3.put("k", b"one")
    marker = await s3("DeleteObject", Bucket="bkt", Key="k")
    assert marker["DeleteMarker"] is True
    error = await s3.error("GetObject", Bucket="bkt", Key="k")
    assert error.code == "NoSuchKey"
    assert error.headers == {"x-amz-delete-marker": "true", "x-amz-version-id": marker["VersionId"]}


async def test_a_delete_marker_has_nothing_to_get(s3: S3) -> None:
    await s3.bucket("Enabled")
    marker = (await s3("DeleteObject", Bucket="bkt", Key="never"))["VersionId"]
    error = await s3.error("GetObject", Bucket="bkt", Key="never", VersionId=marker)
    assert (error.code, error.status) == ("MethodNotAllowed", 405)
    assert error.members == {"Method": "GET", "ResourceType": "DeleteMarker"}
    assert error.headers["Allow"] == "DELETE"


async def test_deletes_stack_markers_also_of_keys_that_never_were(s3: S3) -> None:
    await s3.bucket("Enabled")
    first, second = [await s3("DeleteObject", Bucket="bkt", Key="k") for _ in range(2)]
    assert first["VersionId"] != second["VersionId"]
    assert s3.told.events == ["ObjectRemoved:DeleteMarkerCreated"] * 2


async def test_removing_a_marker_brings_the_object_back(s3: S3) -> None:
    await s3.bucket("Enabled")
    await s3.put("k", b"one")
    marker = (await s3("DeleteObject", Bucket="bkt", Key="k"))["VersionId"]
    removed = await s3("DeleteObject", Bucket="bkt", Key="k", VersionId=marker)
    assert removed == {"DeleteMarker": True, "VersionId": marker}
    assert await s3.get("k") == b"one"


async def test_suspended_versioning_replaces_the_null_version_alone(s3: S3) -> None:
    await s3.bucket("Enabled")
    kept = (await s3.put("k", b"one"))["VersionId"]
    await s3.versioning("Suspended")
    assert "VersionId" not in await s3.put("k", b"two")
    assert "VersionId" not in await s3.put("k", b"three")
    assert (await s3("HeadObject", Bucket="bkt", Key="k"))["VersionId"] == "null"
    assert await s3.get("k", VersionId=kept) == b"one"
    listed = (await s3("ListObjectVersions", Bucket="bkt"))["Versions"]
    assert [(each["VersionId"], each["IsLatest"]) for each in listed] == [("null", True), (kept, False)]


async def test_a_delete_under_suspended_versioning_puts_a_null_marker(s3: S3) -> None:
    await s3.bucket("Suspended")
    await s3.put("k", b"one")
    assert await s3("DeleteObject", Bucket="bkt", Key="k") == {"DeleteMarker": True, "VersionId": "null"}
    listed = await s3("ListObjectVersions", Bucket="bkt")
    assert "Versions" not in listed
    assert [each["VersionId"] for each in listed["DeleteMarkers"]] == ["null"]


@pytest.mark.parametrize("version", ["x", "1" * 31, "?" * 32])
async def test_what_is_no_version_id_is_refused(s3: S3, version: str) -> None:
    await s3.bucket("Enabled")
    error = await s3.error("GetObject", Bucket="bkt", Key="k", VersionId=version)
    assert (error.code, error.message) == ("InvalidArgument", "Invalid version id specified")
    assert error.members == {"ArgumentName": "versionId", "ArgumentValue": version}


async def test_an_unknown_version_is_not_found_and_its_deletion_succeeds(s3: S3) -> None:
    await s3.bucket("Enabled")
    foreign = (await s3.put("other"))["VersionId"]
    error = await s3.error("GetObject", Bucket="bkt", Key="k", VersionId=foreign)
    assert (error.code, error.members) == ("NoSuchVersion", {"Key": "k", "VersionId": foreign})
    assert await s3("DeleteObject", Bucket="bkt", Key="k", VersionId=foreign) == {"VersionId": foreign}


async def test_a_key_of_more_than_1024_bytes_is_too_long(s3: S3) -> None:
    await s3.bucket()
    await s3.put("\u00e9" * 512)
    error = await s3.error("PutObject", Bucket="bkt", Key="\u00e9" * 513, Body=Upload.of(b""))
    assert (error.code, error.members) == ("KeyTooLongError", {"Size": 1026, "MaxSizeAllowed": 1024})


async def test_metadata_over_two_kilobytes_is_refused(s3: S3) -> None:
    await s3.bucket()
    await s3.put("k", Metadata={"a": "x" * 2047})
    assert (await s3.error("PutObject", Bucket="bkt", Key="k", Metadata={"a": "x" * 2048})).code == "MetadataTooLarge"


async def test_a_storage_class_is_kept_and_an_unknown_one_refused(s3: S3) -> None:
    await s3.bucket()
    await s3.put("k", b"x", StorageClass="STANDARD_IA")
    assert (await s3("HeadObject", Bucket="bkt", Key="k"))["StorageClass"] == "STANDARD_IA"
    error = await s3.error("PutObject", Bucket="bkt", Key="k", StorageClass="SNOW")
    assert (error.code, error.members) == ("InvalidStorageClass", {"StorageClassRequested": "SNOW"})


@pytest.mark.parametrize(
    ("asked", "expected", "content_range"),
    [
        ("bytes=0-1", b"01", "bytes 0-1/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=8-99", b"89", "bytes 8-9/10"),
        ("bytes=-3", b"789", "bytes 7-9/10"),
        ("bytes=-99", b"0123456789", "bytes 0-9/10"),
        ("bytes=1-0", b"0123456789", None),
        ("bytes=-1-", b"0123456789", None),
        ("bytes=0-1,3-4", b"0123456789", None),
        ("lines=0-1", b"0123456789", None),
    ],
)
async def test_a_range_is_read_and_what_is_none_is_passed_over(
    s3: S3, asked: str, expected: bytes, content_range: str | None
) -> None:
    await s3.bucket()
    await s3.put("k", b"0123456789")
    got = await s3("GetObject", Bucket="bkt", Key="k", Range=asked)
    assert (await read(got), got.get("ContentRange")) == (expected, content_range)
    assert got["ContentLength"] == len(expected)


@pytest.mark.parametrize("asked", ["bytes=10-", "bytes=-0", "bytes=99-100"])
async def test_a_range_behind_the_end_is_not_satisfiable(s3: S3, asked: str) -> None:
    await s3.bucket()
    await s3.put("k", b"0123456789")
    error = await s3.error("GetObject", Bucket="bkt", Key="k", Range=asked)
    assert (error.code, error.status) == ("InvalidRange", 416)
    assert error.members == {"RangeRequested": asked, "ActualObjectSize": 10}
    assert error.headers == {"Content-Range": "bytes */10"}


async def test_checksums_are_told_of_a_whole_object_only(s3: S3) -> None:
    await s3.bucket()
    await s3.put("k", b"0123456789")
    whole = await s3("GetObject", Bucket="bkt", Key="k", Range="bytes=0-9", ChecksumMode="ENABLED")
    part = await s3("GetObject", Bucket="bkt", Key="k", Range="bytes=0-8", ChecksumMode="ENABLED")
    silent = await s3("HeadObject", Bucket="bkt", Key="k")
    assert "ChecksumCRC64NVME" in whole
    assert "ChecksumCRC64NVME" not in part | silent
    await read(whole)
    await read(part)


async def test_reads_are_conditional_by_etag_and_by_the_second(s3: S3) -> None:
    await s3.bucket()
    etag = (await s3.put("k", b"x"))["ETag"]
    modified = (await s3("HeadObject", Bucket="bkt", Key="k"))["LastModified"]
    second = timedelta(seconds=1)

    async def outcome(**conditions: object) -> int:
        try:
            await s3("HeadObject", Bucket="bkt", Key="k", **conditions)
        except ApiError as error:
            return error.status or 0
        return 200

    assert await outcome(IfMatch=etag, IfUnmodifiedSince=modified - second) == 200
    assert await outcome(IfMatch=etag.strip('"')) == 200
    assert await outcome(IfMatch='"other"') == 412
    assert await outcome(IfNoneMatch=etag) == 304
    assert await outcome(IfNoneMatch=etag, IfModifiedSince=modified - second) == 304
    assert await outcome(IfModifiedSince=modified) == 304
    assert await outcome(IfModifiedSince=modified - second) == 200
    assert await outcome(IfModifiedSince=modified + timedelta(days=1)) == 200
    assert await outcome(IfUnmodifiedSince=modified) == 200
    assert await outcome(IfUnmodifiedSince=modified - second) == 412


async def test_one_of_many_who_want_to_be_the_first_is(s3: S3) -> None:
    await s3.bucket()
    outcomes = await asyncio.gather(
        *(s3.put("k", str(number).encode(), IfNoneMatch="*") for number in range(20)), return_exceptions=True
    )
    lost = [each for each in outcomes if isinstance(each, ApiError)]
    assert {(error.code, error.members["Condition"]) for error in lost} == {("PreconditionFailed", "If-None-Match")}
    assert len(lost) == 19
    assert len(s3.files()) == 1


async def test_a_write_may_ask_for_what_it_replaces(s3: S3) -> None:
    await s3.bucket()
    assert (await s3.error("PutObject", Bucket="bkt", Key="k", IfMatch='"x"')).code == "NoSuchKey"
    etag = (await s3.put("k", b"x"))["ETag"]
    await s3.put("k", b"y", IfMatch=etag)
    assert (await s3.error("PutObject", Bucket="bkt", Key="k", IfMatch=etag)).code == "PreconditionFailed"
    error = await s3.error("PutObject", Bucket="bkt", Key="k", IfMatch="*")
    assert (error.code, error.status, error.members["Header"]) == ("NotImplemented", 501, "If-Match")
    error = await s3.error("PutObject", Bucket="bkt", Key="k", IfMatch=etag, IfNoneMatch="*")
    assert error.members["Header"] == "If-Match,If-None-Match"
    assert (await s3.error("DeleteObject", Bucket="bkt", Key="k", IfMatch=etag)).code == "PreconditionFailed"


async def test_events_tell_versions_sizes_and_growing_sequencers(s3: S3) -> None:
    await s3.bucket()
    await s3.put("k", b"xyz")
    await s3("DeleteObject", Bucket="bkt", Key="k")
    await s3.versioning("Enabled")
    version = (await s3.put("k", b"x"))["VersionId"]
    await s3("DeleteObject", Bucket="bkt", Key="k", VersionId=version)
    changes = s3.told.changes
    assert [change.event for change in changes] == [
        *("ObjectCreated:Put", "ObjectRemoved:Delete", "ObjectCreated:Put", "ObjectRemoved:Delete")
    ]
    assert [(change.size, change.version_id) for change in changes] == [
        *((3, None), (None, None), (1, version), (None, version))
    ]
    assert [change.sequencer for change in changes] == sorted({change.sequencer for change in changes})
    assert len(changes[0].sequencer) == 18


async def test_many_keys_are_deleted_at_once(s3: S3) -> None:
    await s3.bucket("Enabled")
    version = (await s3.put("a", b"x"))["VersionId"]
    asked = [{"Key": "a", "VersionId": version}, {"Key": "no"}, {"Key": "a", "VersionId": "bad"}]
    result = await s3("DeleteObjects", Bucket="bkt", Delete={"Objects": asked})
    assert result["Deleted"][0] == {"Key": "a", "VersionId": version}
    assert result["Deleted"][1]["DeleteMarker"] is True
    assert result["Errors"] == [
        {
            "Key": "a",
            "VersionId": "bad",
            "Code": "NoSuchVersion",
            "Message": "The specified version does not exist.",
        }
    ]
    assert await s3("DeleteObjects", Bucket="bkt", Delete={"Objects": [{"Key": "x"}], "Quiet": True}) == {}
    error = await s3.error("DeleteObjects", Bucket="bkt", Delete={"Objects": [{"Key": "x"}] * 1001})
    assert error.code == "MalformedXML"


async def test_a_locked_version_stays_but_may_be_hidden(s3: S3) -> None:
    await s3.bucket(ObjectLockEnabledForBucket=True)
    until = s3.clock.now() + timedelta(days=1)
    lock = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": until}
    version = (await s3.put("k", b"x", **lock))["VersionId"]
    error = await s3.error("DeleteObject", Bucket="bkt", Key="k", VersionId=version)
    assert (error.code, error.message) == (
        "AccessDenied",
        "Access Denied because object protected by object lock.",
    )
    await s3("DeleteObject", Bucket="bkt", Key="k")
    await s3("DeleteObject", Bucket="bkt", Key="k", VersionId=version, BypassGovernanceRetention=True)
