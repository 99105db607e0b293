"""Lifecycle rules that act: on current versions, on noncurrent ones, on markers and on uploads nobody completes."""

from datetime import timedelta
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


KIB = 1024
ANY_SIZE = {"ObjectSizeGreaterThan": 0}


async def class_of(s3: S3, key: str, **parameters: Any) -> str:
    head = await s3("HeadObject", Bucket="bkt", Key=key, **parameters)
    return str(head.get("StorageClass", "STANDARD"))


async def test_an_object_gets_colder_at_the_midnight_after_its_days_and_that_is_told(s3: S3) -> None:
    await s3.bucket()
    steps = [{"Days": 1, "StorageClass": "GLACIER_IR"}, {"Days": 3, "StorageClass": "DEEP_ARCHIVE"}]
    await ruled(s3, Transitions=steps, Filter={"And": {"Prefix": "a", **ANY_SIZE}})
    await s3.put("a", b"x")
    await s3.put("b", b"x")
    modified = (await s3("HeadObject", Bucket="bkt", Key="a"))["LastModified"]
    seen = []
    for _ in range(6):
        await s3.service.expiry.sweep()
        seen.append(await class_of(s3, "a"))
        await s3.clock.advance(DAY_S)
    assert seen == ["STANDARD", "STANDARD", "GLACIER_IR", "GLACIER_IR", "DEEP_ARCHIVE", "DEEP_ARCHIVE"]
    assert await class_of(s3, "b") == "STANDARD"
    assert [change.storage_class for change in s3.told.changes[2:]] == ["GLACIER_IR", "DEEP_ARCHIVE"]
    assert s3.told.events[2:] == ["LifecycleTransition"] * 2
    assert (await s3.error("GetObject", Bucket="bkt", Key="a")).code == "InvalidObjectState"
    (listed, _) = (await s3("ListObjectsV2", Bucket="bkt"))["Contents"]
    assert (listed["StorageClass"], listed["LastModified"]) == ("DEEP_ARCHIVE", modified)


async def test_small_objects_stay_where_they_are_unless_the_rule_says_a_size(s3: S3) -> None:
    await s3.bucket()
    await ruled(s3, Transitions=[{"Days": 0, "StorageClass": "GLACIER"}, {"Days": 0, "StorageClass": "GLACIER_IR"}])
    await s3.put("small", b"x")
    await s3.put("large", bytes(128 * KIB))
    await s3.clock.advance(DAY_S)
    await s3.service.expiry.sweep()
    assert (await class_of(s3, "small"), await class_of(s3, "large")) == ("STANDARD", "GLACIER")


async def test_small_objects_go_to_archives_where_the_configuration_says_so(s3: S3) -> None:
    await s3.bucket()
    rule = {"ID": "r", "Status": "Enabled", "Filter": {}, "Transitions": [{"Days": 0, "StorageClass": "GLACIER"}]}
    await s3(
        "PutBucketLifecycleConfiguration",
        Bucket="bkt",
        TransitionDefaultMinimumObjectSize="varies_by_storage_class",
        LifecycleConfiguration={"Rules": [rule]},
    )
    await s3.put("small", b"x")
    await s3.clock.advance(DAY_S)
    await s3.service.expiry.sweep()
    assert await class_of(s3, "small") == "GLACIER"


async def test_noncurrent_versions_move_and_the_newest_of_them_stay(s3: S3) -> None:
    await s3.bucket("Enabled")
    old = {"NoncurrentDays": 1, "StorageClass": "GLACIER", "NewerNoncurrentVersions": 1}
    await ruled(s3, NoncurrentVersionTransitions=[old], Filter=ANY_SIZE)
    ids = [(await s3.put("k", b"%d" % number))["VersionId"] for number in range(3)]
    await s3.clock.advance(3 * DAY_S)
    await s3.service.expiry.sweep()
    found = [await class_of(s3, "k", VersionId=id) for id in ids]
    assert found == ["GLACIER", "STANDARD", "STANDARD"]


async def test_what_goes_is_not_moved_before_and_nothing_gets_warmer(s3: S3) -> None:
    await s3.bucket()
    steps = [{"Days": 0, "StorageClass": "GLACIER_IR"}]
    await ruled(s3, Transitions=steps, Expiration={"Days": 5}, Filter=ANY_SIZE)
    await s3.put("cold", b"x", StorageClass="GLACIER")
    await s3.put("one", b"x", StorageClass="ONEZONE_IA")
    await s3.clock.advance(2 * DAY_S)
    await s3.service.expiry.sweep()
    assert (await class_of(s3, "cold"), await class_of(s3, "one")) == ("GLACIER", "ONEZONE_IA")
    await s3.put("late", b"x")
    await s3.clock.advance(9 * DAY_S)
    assert await s3.service.expiry.sweep() == 3
    assert "LifecycleTransition" not in s3.told.events


async def test_a_restored_object_is_shut_again_when_its_days_are_over(s3: S3) -> None:
    await s3.bucket()
    await s3.put("k", b"x", StorageClass="GLACIER")
    await s3("RestoreObject", Bucket="bkt", Key="k", RestoreRequest={"Days": 1})
    assert await s3.get("k") == b"x"
    assert "Restore" in await s3("HeadObject", Bucket="bkt", Key="k")
    await s3.clock.advance(2 * DAY_S)
    assert "Restore" not in await s3("HeadObject", Bucket="bkt", Key="k")
    await s3.service.expiry.sweep()
    await s3.service.expiry.sweep()
    assert (await s3.error("GetObject", Bucket="bkt", Key="k")).code == "InvalidObjectState"
    assert s3.told.events[1:] == ["ObjectRestore:Post", "ObjectRestore:Completed", "ObjectRestore:Delete"]


async def test_a_retention_is_told_with_what_it_is(s3: S3) -> None:
    await s3.bucket(ObjectLockEnabledForBucket=True)
    await s3.put("k", b"x")
    until = s3.clock.now() + timedelta(days=1)
    retention = {"Mode": "GOVERNANCE", "RetainUntilDate": until}
    await s3("PutObjectRetention", Bucket="bkt", Key="k", Retention=retention)
    change = s3.told.changes[-1]
    assert (change.event, change.mode, change.until_ms) == (
        "ObjectRetention:Put",
        "GOVERNANCE",
        int(until.timestamp() * 1000),
    )
