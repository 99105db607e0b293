"""Buckets: names, regions, who has them, and lists of them and of what is in them."""

import pytest

from tests.contract.s3.conftest import Client


async def test_a_bucket_is_made_found_listed_and_deleted(s3: Client) -> None:
    made = await s3.create_bucket(Bucket="photos")
    assert (made["Location"], made["BucketArn"]) == ("/photos", "arn:aws:s3:::photos")
    assert (await s3.head_bucket(Bucket="photos"))["BucketRegion"] == "us-east-1"
    assert (await s3.get_bucket_location(Bucket="photos"))["LocationConstraint"] is None
    assert [bucket["Name"] for bucket in (await s3.list_buckets())["Buckets"]] == ["photos"]
    await s3.delete_bucket(Bucket="photos")
    assert await s3.refused("head_bucket", Bucket="photos") == ("404", 404)
    assert (await s3.list_buckets())["Buckets"] == []


@pytest.mark.parametrize(
    "name", ["UPPER", "a_b", "192.168.0.1", "a..b", "xn--a", "end-s3alias", "-ab", "ab-", "sthree-x"]
)
async def test_a_name_that_is_none_is_refused(s3: Client, name: str) -> None:
    assert await s3.refused("create_bucket", Bucket=name) == ("InvalidBucketName", 400)


async def test_regions_are_constrained_as_at_the_global_endpoint(s3: Client) -> None:
    def where(region: str) -> dict[str, object]:
        return {"Bucket": "there", "CreateBucketConfiguration": {"LocationConstraint": region}}

    assert await s3.refused("create_bucket", **where("us-east-1")) == ("InvalidLocationConstraint", 400)
    assert await s3.refused("create_bucket", **where("moon-1")) == ("InvalidLocationConstraint", 400)
    made = await s3.create_bucket(**where("eu-west-3"))
    assert made["Location"] == "http://there.s3.amazonaws.com/"
    assert await s3.refused("create_bucket", **where("eu-west-3")) == ("BucketAlreadyOwnedByYou", 409)


async def test_making_a_bucket_again_in_us_east_1_changes_nothing(s3: Client, bucket: str) -> None:
    await s3.create_bucket(Bucket=bucket)
    tagged = {"Tags": [{"Key": "a", "Value": "b"}]}
    refused = await s3.refused("create_bucket", Bucket=bucket, CreateBucketConfiguration=tagged)
    assert refused == ("BucketAlreadyOwnedByYou", 409)


async def test_a_bucket_with_objects_stays_and_one_with_uploads_goes(s3: Client, bucket: str) -> None:
    await s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert await s3.refused("delete_bucket", Bucket=bucket) == ("BucketNotEmpty", 409)
    await s3.delete_object(Bucket=bucket, Key="k")
    upload = await s3.create_multipart_upload(Bucket=bucket, Key="u")
    await s3.upload_part(Bucket=bucket, Key="u", UploadId=upload["UploadId"], PartNumber=1, Body=b"x")
    await s3.delete_bucket(Bucket=bucket)


async def test_buckets_are_listed_in_pages(s3: Client) -> None:
    for name in ("aaa", "bbb", "bbc"):
        await s3.create_bucket(Bucket=name)
    page = await s3.list_buckets(MaxBuckets=2)
    assert [bucket["Name"] for bucket in page["Buckets"]] == ["aaa", "bbb"]
    rest = await s3.list_buckets(ContinuationToken=page["ContinuationToken"])
    assert [bucket["Name"] for bucket in rest["Buckets"]] == ["bbc"]
    assert "ContinuationToken" not in rest
    assert [bucket["Name"] for bucket in (await s3.list_buckets(Prefix="bb"))["Buckets"]] == ["bbb", "bbc"]


async def test_keys_are_listed_by_bytes_with_prefixes_in_their_order(s3: Client, bucket: str) -> None:
    keys = ["Z", "a/1", "a/2", "b", "\ufb01", "\U0001f600"]
    for key in reversed(keys):
        await s3.put_object(Bucket=bucket, Key=key, Body=b"")
    assert [entry["Key"] for entry in (await s3.list_objects(Bucket=bucket))["Contents"]] == keys
    first = await s3.list_objects(Bucket=bucket, Delimiter="/", MaxKeys=2)
    assert [entry["Key"] for entry in first["Contents"]] == ["Z"]
    assert [each["Prefix"] for each in first["CommonPrefixes"]] == ["a/"]
    assert first["NextMarker"] == "a/"
    rest = await s3.list_objects(Bucket=bucket, Delimiter="/", Marker="a/")
    assert [entry["Key"] for entry in rest["Contents"]] == keys[3:]
    assert "CommonPrefixes" not in rest
    plain = await s3.list_objects(Bucket=bucket, MaxKeys=2)
    assert plain["IsTruncated"] is True
    assert "NextMarker" not in plain


async def test_the_second_list_counts_prefixes_and_goes_on_by_token(s3: Client, bucket: str) -> None:
    for key in ("a/1", "a/2", "b", "c/1"):
        await s3.put_object(Bucket=bucket, Key=key, Body=b"")
    first = await s3.list_objects_v2(Bucket=bucket, Delimiter="/", MaxKeys=1)
    assert (first["KeyCount"], [each["Prefix"] for each in first["CommonPrefixes"]]) == (1, ["a/"])
    assert "Owner" not in first.get("Contents", [{}])[0]
    token = first["NextContinuationToken"]
    second = await s3.list_objects_v2(
        Bucket=bucket, Delimiter="/", ContinuationToken=token, StartAfter="zzz", FetchOwner=True
    )
    assert [entry["Key"] for entry in second["Contents"]] == ["b"]
    assert [each["Prefix"] for each in second["CommonPrefixes"]] == ["c/"]
    assert (second["KeyCount"], second["ContinuationToken"], second["StartAfter"]) == (2, token, "zzz")
    assert "Owner" in second["Contents"][0]
    assert (await s3.list_objects_v2(Bucket=bucket, MaxKeys=0))["KeyCount"] == 0
    refused = await s3.refused("list_objects_v2", Bucket=bucket, ContinuationToken="!")
    assert refused == ("InvalidArgument", 400)
    assert await s3.refused("list_objects_v2", Bucket=bucket, EncodingType="x") == ("InvalidArgument", 400)


async def test_another_expected_owner_is_denied(s3: Client, bucket: str) -> None:
    assert await s3.refused("list_objects", Bucket=bucket, ExpectedBucketOwner="1" * 12) == ("AccessDenied", 403)
