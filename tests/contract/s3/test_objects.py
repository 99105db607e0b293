"""Objects as SDKs see them: bytes, headers, statuses and XML."""

import base64
import zlib

from tests.contract.s3.conftest import Client

KEY = "a/b c+\u00e9//%2F.txt"


async def test_an_object_comes_back_with_its_headers_and_its_checksum(s3: Client, bucket: str) -> None:
    crc32 = base64.b64encode(zlib.crc32(b"hello").to_bytes(4, "big")).decode()
    put = await s3.put_object(Bucket=bucket, Key=KEY, Body=b"hello", Metadata={"Word": "e"}, Tagging="a=b")
    assert put["ChecksumCRC32"] == crc32
    got = await s3.get_object(Bucket=bucket, Key=KEY)
    assert got["Body"].read() == b"hello"
    assert (got["ETag"], got["ChecksumCRC32"], got["TagCount"]) == (put["ETag"], crc32, 1)
    headers = got["ResponseMetadata"]["HTTPHeaders"]
    assert headers["accept-ranges"] == "bytes"
    assert headers["content-type"] == "binary/octet-stream"
    assert headers["x-amz-server-side-encryption"] == "AES256"
    head = await s3.head_object(Bucket=bucket, Key=KEY)
    assert (head["ContentLength"], head["ETag"]) == (5, put["ETag"])
    assert (await s3.list_objects_v2(Bucket=bucket))["Contents"][0]["Key"] == KEY


async def test_a_range_is_206_and_one_behind_the_end_416(s3: Client, bucket: str) -> None:
    await s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")
    got = await s3.get_object(Bucket=bucket, Key="k", Range="bytes=2-4")
    assert (got["Body"].read(), got["ContentRange"]) == (b"234", "bytes 2-4/10")
    assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert await s3.refused("get_object", Bucket=bucket, Key="k", Range="bytes=10-") == ("InvalidRange", 416)


async def test_errors_of_head_have_no_body_and_not_modified_keeps_the_etag(s3: Client, bucket: str) -> None:
    etag = (await s3.put_object(Bucket=bucket, Key="k", Body=b"x"))["ETag"]
    assert await s3.refused("head_object", Bucket=bucket, Key="no") == ("404", 404)
    assert await s3.refused("get_object", Bucket=bucket, Key="k", IfNoneMatch=etag) == ("304", 304)
    assert await s3.refused("head_object", Bucket=bucket, Key="k", IfMatch='"no"') == ("412", 412)


async def test_replies_may_have_the_headers_that_the_request_wants(s3: Client, bucket: str) -> None:
    await s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    got = await s3.get_object(Bucket=bucket, Key="k", ResponseContentType="text/x", ResponseCacheControl="no-store")
    assert (got["ContentType"], got["CacheControl"]) == ("text/x", "no-store")


async def test_a_copy_keeps_or_replaces_metadata_and_is_not_to_itself(s3: Client, bucket: str) -> None:
    await s3.put_object(Bucket=bucket, Key=KEY, Body=b"x", Metadata={"a": "b"}, ContentType="text/x", Tagging="t=1")
    source = {"Bucket": bucket, "Key": KEY}
    copied = await s3.copy_object(Bucket=bucket, Key="c", CopySource=source, Metadata={"no": "no"})
    assert "ETag" in copied["CopyObjectResult"]
    head = await s3.head_object(Bucket=bucket, Key="c")
    assert (head["Metadata"], head["ContentType"]) == ({"a": "b"}, "text/x")
    assert (await s3.get_object_tagging(Bucket=bucket, Key="c"))["TagSet"] == [{"Key": "t", "Value": "1"}]
    await s3.copy_object(
        Bucket=bucket, Key="c", CopySource=source, MetadataDirective="REPLACE", TaggingDirective="REPLACE"
    )
    head = await s3.head_object(Bucket=bucket, Key="c")
    assert (head["Metadata"], head["ContentType"]) == ({}, "binary/octet-stream")
    assert (await s3.get_object_tagging(Bucket=bucket, Key="c"))["TagSet"] == []
    itself = {"Bucket": bucket, "Key": KEY, "CopySource": source}
    assert await s3.refused("copy_object", **itself) == ("InvalidRequest", 400)
    await s3.copy_object(**itself, StorageClass="STANDARD")
    assert await s3.refused("copy_object", Bucket=bucket, Key="c", CopySource=f"{bucket}/no") == ("NoSuchKey", 404)


async def test_tags_are_put_read_and_taken_away(s3: Client, bucket: str) -> None:
    await s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    tags = [{"Key": "a", "Value": "1"}]
    await s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": tags})
    assert (await s3.get_object_tagging(Bucket=bucket, Key="k"))["TagSet"] == tags
    await s3.delete_object_tagging(Bucket=bucket, Key="k")
    assert (await s3.get_object_tagging(Bucket=bucket, Key="k"))["TagSet"] == []
    twice = {"TagSet": tags * 2}
    assert await s3.refused("put_object_tagging", Bucket=bucket, Key="k", Tagging=twice) == ("InvalidTag", 400)


async def test_attributes_have_no_quotes_and_no_part_count(s3: Client, bucket: str) -> None:
    await s3.put_object(Bucket=bucket, Key="k", Body=b"hello", ChecksumAlgorithm="SHA256")
    wanted = ["ETag", "Checksum", "ObjectSize", "StorageClass"]
    found = await s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=wanted)
    assert found["ETag"] == "5d41402abc4b2a76b9719d911017c592"
    assert found["Checksum"]["ChecksumSHA256"] == "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="
    assert (found["ObjectSize"], found["StorageClass"]) == (5, "STANDARD")


async def test_versions_and_markers_are_listed_and_deleted(s3: Client, bucket: str) -> None:
    await s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    first = (await s3.put_object(Bucket=bucket, Key="k", Body=b"1"))["VersionId"]
    marker = await s3.delete_object(Bucket=bucket, Key="k")
    assert marker["DeleteMarker"] is True
    assert await s3.refused("get_object", Bucket=bucket, Key="k") == ("NoSuchKey", 404)
    assert await s3.refused("get_object", Bucket=bucket, Key="k", VersionId=marker["VersionId"]) == (
        "MethodNotAllowed",
        405,
    )
    listed = await s3.list_object_versions(Bucket=bucket)
    assert [each["VersionId"] for each in listed["Versions"]] == [first]
    assert [each["VersionId"] for each in listed["DeleteMarkers"]] == [marker["VersionId"]]
    both = [{"Key": "k", "VersionId": first}, {"Key": "k", "VersionId": marker["VersionId"]}]
    deleted = await s3.delete_objects(Bucket=bucket, Delete={"Objects": both})
    assert len(deleted["Deleted"]) == 2
    await s3.delete_bucket(Bucket=bucket)


async def test_locks_and_holds_are_set_and_hold(s3: Client) -> None:
    await s3.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
    version = (await s3.put_object(Bucket="locked", Key="k", Body=b"x"))["VersionId"]
    where = {"Bucket": "locked", "Key": "k"}
    await s3.put_object_legal_hold(**where, LegalHold={"Status": "ON"})
    assert (await s3.get_object_legal_hold(**where))["LegalHold"] == {"Status": "ON"}
    assert await s3.refused("delete_object", **where, VersionId=version) == ("AccessDenied", 403)
    await s3.put_object_legal_hold(**where, LegalHold={"Status": "OFF"})
    until = "2099-01-01T00:00:00Z"
    await s3.put_object_retention(**where, Retention={"Mode": "GOVERNANCE", "RetainUntilDate": until})
    assert (await s3.get_object_retention(**where))["Retention"]["Mode"] == "GOVERNANCE"
    assert await s3.refused("delete_object", **where, VersionId=version) == ("AccessDenied", 403)
    await s3.delete_object(**where, VersionId=version, BypassGovernanceRetention=True)


async def test_the_acl_of_an_object_is_its_owners(s3: Client, bucket: str) -> None:
    await s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    grants = (await s3.get_object_acl(Bucket=bucket, Key="k"))["Grants"]
    assert [grant["Permission"] for grant in grants] == ["FULL_CONTROL"]
    refused = await s3.refused("put_object_acl", Bucket=bucket, Key="k", ACL="public-read")
    assert refused == ("AccessControlListNotSupported", 400)


async def test_an_archived_object_is_read_once_it_is_restored(s3: Client, bucket: str) -> None:
    where = {"Bucket": bucket, "Key": "k"}
    await s3.put_object(**where, Body=b"x", StorageClass="GLACIER")
    assert await s3.refused("get_object", **where) == ("InvalidObjectState", 403)
    restored = await s3.restore_object(**where, RestoreRequest={"Days": 1})
    assert restored["ResponseMetadata"]["HTTPStatusCode"] == 202
    again = await s3.restore_object(**where, RestoreRequest={"Days": 2})
    assert again["ResponseMetadata"]["HTTPStatusCode"] == 200
    asked = {"Bucket": bucket, "OptionalObjectAttributes": ["RestoreStatus"]}
    for listed in (await s3.list_objects(**asked), await s3.list_objects_v2(**asked)):
        assert listed["Contents"][0]["RestoreStatus"]["IsRestoreInProgress"] is False
    assert "RestoreStatus" not in (await s3.list_objects_v2(Bucket=bucket))["Contents"][0]
    got = await s3.get_object(**where)
    assert (got["Body"].read(), got["Restore"][:24]) == (b"x", 'ongoing-request="false",')
    await s3.put_object(Bucket=bucket, Key="warm", Body=b"x")
    refused = await s3.refused("restore_object", Bucket=bucket, Key="warm", RestoreRequest={"Days": 1})
    assert refused == ("InvalidObjectState", 403)


async def test_what_would_be_another_object_if_it_were_passed_over_is_refused(s3: Client, bucket: str) -> None:
    where = {"Bucket": bucket, "Key": "k"}
    await s3.put_object(**where, Body=b"x")
    assert await s3.refused("put_object", **where, Body=b"y", WriteOffsetBytes=1) == ("NotImplemented", 501)
    assert await s3.refused("put_object", **where, Body=b"y", ObjectLockEventHold="ON") == ("NotImplemented", 501)
    assert (await s3.get_object(**where))["Body"].read() == b"x"
    wrong = {"Bucket": "name", "BucketNamespace": "account-regional"}
    assert await s3.refused("create_bucket", **wrong) == ("InvalidBucketName", 400)
