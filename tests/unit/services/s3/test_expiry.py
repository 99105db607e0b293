"""Lifecycle rules that act: on current versions, on noncurrent ones, on markers and on uploads nobody completes."""

from typing import Any

from lambent.services.s3.configs.kinds import Kind
from tests.unit.services.s3.conftest import S3

DAY_S = 86_400


async def ruled(s3: S3, **rule: Any) -> None:
    document = {"Rules": [{"ID": "r", "Status": "Enabled", "Filter": {}, **rule}]}
    await s3.service.configs.put(s3.service.buckets.get("bkt").id, Kind.LIFECYCLE, document)


async def test_an_object_goes_at_the_midnight_after_its_days_and_is_told_as_a_lifecycles(s3: S3) -> None:
    await s3.bucket()
    await ruled(s3, Expiration={"Days": 1}, Filter={"Prefix": "tmp/"})
    await s3.put("tmp/a", b"x")
    await s3.put("keep", b"x")
    await s3.clock.advance(DAY_S)
    assert await s3.service.expiry.sweep() == 0
    await s3.clock.advance(DAY_S)
    assert await s3.service.expiry.sweep() == 1
    assert [entry["Key"] for entry in (await s3("ListObjects", Bucket="bkt"))["Contents"]] == ["keep"]
    assert s3.told.events[-1] == "LifecycleExpiration:Delete"
    assert s3.told.changes[-1].origin.principal == "s3.amazonaws.com"
    assert "ObjectRemoved:Delete" not in s3.told.events


async def test_a_versioned_object_is_hidden_and_its_old_versions_go_later(s3: S3) -> None:
    await s3.bucket("Enabled")
    await ruled(s3, Expiration={"Days": 1}, NoncurrentVersionExpiration={"NoncurrentDays": 1})
    await s3.put("k", b"x")
    await s3.clock.advance(2 * DAY_S)
    await s3.service.expiry.sweep()
    assert (await s3.error("GetObject", Bucket="bkt", Key="k")).code == "NoSuchKey"
    assert len((await s3("ListObjectVersions", Bucket="bkt"))["Versions"]) == 1
    await s3.clock.advance(2 * DAY_S)
    await s3.service.expiry.sweep()
    assert "Versions" not in await s3("ListObjectVersions", Bucket="bkt")
    await s3.service.expiry.sweep()
    assert "DeleteMarkers" not in await s3("ListObjectVersions", Bucket="bkt")
    assert s3.told.events[1:] == [
        *("LifecycleExpiration:DeleteMarkerCreated", "LifecycleExpiration:Delete", "LifecycleExpiration:Delete")
    ]


async def test_so_many_newer_noncurrent_versions_stay(s3: S3) -> None:
    await s3.bucket("Enabled")
    await ruled(s3, NoncurrentVersionExpiration={"NoncurrentDays": 1, "NewerNoncurrentVersions": 2})
    for number in range(5):
        await s3.put("k", str(number).encode())
    await s3.clock.advance(3 * DAY_S)
    assert await s3.service.expiry.sweep() == 2
    assert len((await s3("ListObjectVersions", Bucket="bkt"))["Versions"]) == 3


async def test_an_upload_that_nobody_completes_is_aborted_with_its_parts(s3: S3) -> None:
    await s3.bucket()
    await ruled(s3, AbortIncompleteMultipartUpload={"DaysAfterInitiation": 1})
    upload = (await s3("CreateMultipartUpload", Bucket="bkt", Key="k"))["UploadId"]
    await s3("UploadPart", Bucket="bkt", Key="k", UploadId=upload, PartNumber=1, Body=b"x")
    await s3.clock.advance(3 * DAY_S)
    assert await s3.service.expiry.sweep() == 1
    assert (await s3.error("ListParts", Bucket="bkt", Key="k", UploadId=upload)).code == "NoSuchUpload"


async def test_a_disabled_rule_does_nothing(s3: S3) -> None:
    await s3.bucket()
    await ruled(s3, Expiration={"Days": 1}, Status="Disabled")
    await s3.put("k", b"x")
    await s3.clock.advance(9 * DAY_S)
    assert await s3.service.expiry.sweep() == 0
