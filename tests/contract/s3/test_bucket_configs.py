"""Sub-resources of buckets as AWS clients put and get them, over the wire."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.contract.s3.conftest import Client

ARN = "arn:aws:s3:::photos"
ACCOUNT = "000000000000"
CORS = {
    "CORSRules": [
        {
            "AllowedHeaders": ["X-Amz-*"],
            "AllowedMethods": ["PUT", "GET"],
            "AllowedOrigins": ["https://example.com"],
            "ExposeHeaders": ["ETag"],
            "MaxAgeSeconds": 60,
        }
    ]
}
LIFECYCLE = {
    "Rules": [
        {
            "ID": "old",
            "Status": "Enabled",
            "Filter": {"And": {"Prefix": "logs/", "Tags": [{"Key": "a", "Value": "b"}]}},
            "Expiration": {"Days": 3},
            "NoncurrentVersionExpiration": {"NoncurrentDays": 2, "NewerNoncurrentVersions": 1},
        },
        {
            "ID": "date",
            "Status": "Disabled",
            "Filter": {"Prefix": ""},
            "Expiration": {"Date": datetime(2030, 1, 1, tzinfo=UTC)},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
        },
    ]
}
POLICY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": "111122223333"},
                "Action": "s3:GetObject",
                "Resource": f"{ARN}/*",
            }
        ],
    }
)


def without_metadata(reply: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in reply.items() if name != "ResponseMetadata"}


def status(reply: dict[str, Any]) -> int:
    return int(reply["ResponseMetadata"]["HTTPStatusCode"])


async def test_versioning_is_switched_on_and_suspended(s3: Client, bucket: str) -> None:
    assert without_metadata(await s3.get_bucket_versioning(Bucket=bucket)) == {}
    for word in ("Enabled", "Suspended"):
        await s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": word})
        assert (await s3.get_bucket_versioning(Bucket=bucket))["Status"] == word


async def test_cors_rules_read_back_as_they_were_put(s3: Client, bucket: str) -> None:
    assert await s3.refused("get_bucket_cors", Bucket=bucket) == ("NoSuchCORSConfiguration", 404)
    await s3.put_bucket_cors(Bucket=bucket, CORSConfiguration=CORS)
    assert (await s3.get_bucket_cors(Bucket=bucket))["CORSRules"] == CORS["CORSRules"]
    assert status(await s3.delete_bucket_cors(Bucket=bucket)) == 204
    assert await s3.refused("get_bucket_cors", Bucket=bucket) == ("NoSuchCORSConfiguration", 404)


async def test_lifecycle_rules_read_back_as_they_were_put(s3: Client, bucket: str) -> None:
    put = await s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration=LIFECYCLE)
    assert put["TransitionDefaultMinimumObjectSize"] == "all_storage_classes_128K"
    got = await s3.get_bucket_lifecycle_configuration(Bucket=bucket)
    assert got["Rules"] == LIFECYCLE["Rules"]
    assert got["TransitionDefaultMinimumObjectSize"] == "all_storage_classes_128K"
    assert status(await s3.delete_bucket_lifecycle(Bucket=bucket)) == 204
    refused = await s3.refused("get_bucket_lifecycle_configuration", Bucket=bucket)
    assert refused == ("NoSuchLifecycleConfiguration", 404)


async def test_tags_of_a_bucket(s3: Client, bucket: str) -> None:
    tags = [{"Key": "team", "Value": "photos"}]
    assert status(await s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags})) == 204
    assert (await s3.get_bucket_tagging(Bucket=bucket))["TagSet"] == tags
    assert status(await s3.delete_bucket_tagging(Bucket=bucket)) == 204
    assert await s3.refused("get_bucket_tagging", Bucket=bucket) == ("NoSuchTagSet", 404)


async def test_a_policy_reads_back_byte_for_byte(s3: Client, bucket: str) -> None:
    assert status(await s3.put_bucket_policy(Bucket=bucket, Policy=POLICY)) == 204
    assert (await s3.get_bucket_policy(Bucket=bucket))["Policy"] == POLICY
    assert (await s3.get_bucket_policy_status(Bucket=bucket))["PolicyStatus"] == {"IsPublic": False}
    assert status(await s3.delete_bucket_policy(Bucket=bucket)) == 204
    assert await s3.refused("get_bucket_policy", Bucket=bucket) == ("NoSuchBucketPolicy", 404)
    assert await s3.refused("put_bucket_policy", Bucket=bucket, Policy="{}") == ("MalformedPolicy", 400)


async def test_encryption_and_its_default(s3: Client, bucket: str) -> None:
    default = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": False}]}
    assert (await s3.get_bucket_encryption(Bucket=bucket))["ServerSideEncryptionConfiguration"] == default
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}, "BucketKeyEnabled": True}
    await s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    shown = (await s3.get_bucket_encryption(Bucket=bucket))["ServerSideEncryptionConfiguration"]
    assert shown == {"Rules": [rule]}
    assert status(await s3.delete_bucket_encryption(Bucket=bucket)) == 204
    assert (await s3.get_bucket_encryption(Bucket=bucket))["ServerSideEncryptionConfiguration"] == default


async def test_the_public_access_block(s3: Client, bucket: str) -> None:
    shown = (await s3.get_public_access_block(Bucket=bucket))["PublicAccessBlockConfiguration"]
    assert set(shown.values()) == {True}
    await s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration={"BlockPublicAcls": True})
    shown = (await s3.get_public_access_block(Bucket=bucket))["PublicAccessBlockConfiguration"]
    assert shown == {
        "BlockPublicAcls": True,
        "IgnorePublicAcls": False,
        "BlockPublicPolicy": False,
        "RestrictPublicBuckets": False,
    }
    assert status(await s3.delete_public_access_block(Bucket=bucket)) == 204
    refused = await s3.refused("get_public_access_block", Bucket=bucket)
    assert refused == ("NoSuchPublicAccessBlockConfiguration", 404)


async def test_ownership_and_acls(s3: Client, bucket: str) -> None:
    shown = await s3.get_bucket_ownership_controls(Bucket=bucket)
    assert shown["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    refused = await s3.refused("put_bucket_acl", Bucket=bucket, ACL="public-read")
    assert refused == ("AccessControlListNotSupported", 400)
    rules = {"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
    await s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls=rules)
    await s3.delete_public_access_block(Bucket=bucket)
    await s3.put_bucket_acl(Bucket=bucket, ACL="public-read")
    acl = await s3.get_bucket_acl(Bucket=bucket)
    assert acl["Owner"] == (await s3.list_buckets())["Owner"]
    assert [grant["Permission"] for grant in acl["Grants"]] == ["FULL_CONTROL", "READ"]
    assert acl["Grants"][1]["Grantee"]["Type"] == "Group"

    await s3.put_object(Bucket=bucket, Key="k", Body=b"")
    policy = {"Owner": acl["Owner"], "Grants": acl["Grants"]}
    await s3.put_object_acl(Bucket=bucket, Key="k", AccessControlPolicy=policy)
    assert (await s3.get_object_acl(Bucket=bucket, Key="k"))["Grants"] == acl["Grants"]
    await s3.delete_bucket_ownership_controls(Bucket=bucket)
    refused = await s3.refused("get_bucket_ownership_controls", Bucket=bucket)
    assert refused == ("OwnershipControlsNotFoundError", 404)


async def test_payment_and_acceleration(s3: Client, bucket: str) -> None:
    assert (await s3.get_bucket_request_payment(Bucket=bucket))["Payer"] == "BucketOwner"
    await s3.put_bucket_request_payment(Bucket=bucket, RequestPaymentConfiguration={"Payer": "Requester"})
    assert (await s3.get_bucket_request_payment(Bucket=bucket))["Payer"] == "Requester"
    assert without_metadata(await s3.get_bucket_accelerate_configuration(Bucket=bucket)) == {}
    await s3.put_bucket_accelerate_configuration(Bucket=bucket, AccelerateConfiguration={"Status": "Enabled"})
    assert (await s3.get_bucket_accelerate_configuration(Bucket=bucket))["Status"] == "Enabled"


async def test_object_lock_over_the_wire(s3: Client) -> None:
    await s3.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
    rule = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Years": 1}}}
    await s3.put_object_lock_configuration(Bucket="locked", ObjectLockConfiguration=rule)
    shown = await s3.get_object_lock_configuration(Bucket="locked")
    assert shown["ObjectLockConfiguration"] == rule
    await s3.put_object(Bucket="locked", Key="k", Body=b"")
    kept = await s3.get_object_retention(Bucket="locked", Key="k")
    assert kept["Retention"]["Mode"] == "GOVERNANCE"
    until = datetime(2199, 1, 1, tzinfo=UTC)
    longer = {"Mode": "GOVERNANCE", "RetainUntilDate": until}
    await s3.put_object_retention(Bucket="locked", Key="k", Retention=longer)
    assert (await s3.get_object_retention(Bucket="locked", Key="k"))["Retention"] == longer
    await s3.put_object_legal_hold(Bucket="locked", Key="k", LegalHold={"Status": "ON"})
    assert (await s3.get_object_legal_hold(Bucket="locked", Key="k"))["LegalHold"] == {"Status": "ON"}
    version = (await s3.head_object(Bucket="locked", Key="k"))["VersionId"]
    assert await s3.refused("delete_object", Bucket="locked", Key="k", VersionId=version) == ("AccessDenied", 403)


async def test_what_no_bucket_here_has(s3: Client, bucket: str) -> None:
    assert await s3.refused("get_bucket_website", Bucket=bucket) == ("NoSuchWebsiteConfiguration", 404)
    refused = await s3.refused("get_bucket_replication", Bucket=bucket)
    assert refused == ("ReplicationConfigurationNotFoundError", 404)
    assert "LoggingEnabled" not in await s3.get_bucket_logging(Bucket=bucket)
    await s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus={})
    await s3.delete_bucket_website(Bucket=bucket)
    await s3.delete_bucket_replication(Bucket=bucket)
    website = {"IndexDocument": {"Suffix": "index.html"}}
    assert (await s3.refused("put_bucket_website", Bucket=bucket, WebsiteConfiguration=website))[1] == 501


@pytest.mark.parametrize(
    ("get", "delete", "list_"),
    [
        (
            "get_bucket_analytics_configuration",
            "delete_bucket_analytics_configuration",
            "list_bucket_analytics_configurations",
        ),
        (
            "get_bucket_intelligent_tiering_configuration",
            "delete_bucket_intelligent_tiering_configuration",
            "list_bucket_intelligent_tiering_configurations",
        ),
        (
            "get_bucket_inventory_configuration",
            "delete_bucket_inventory_configuration",
            "list_bucket_inventory_configurations",
        ),
        (
            "get_bucket_metrics_configuration",
            "delete_bucket_metrics_configuration",
            "list_bucket_metrics_configurations",
        ),
    ],
)
async def test_named_configurations(s3: Client, bucket: str, get: str, delete: str, list_: str) -> None:
    for operation in (get, delete):
        assert await s3.refused(operation, Bucket=bucket, Id="x") == ("NoSuchConfiguration", 404)
    assert (await getattr(s3, list_)(Bucket=bucket))["IsTruncated"] is False


async def test_a_notification_configuration_over_the_wire(s3: Client, bucket: str) -> None:
    assert without_metadata(await s3.get_bucket_notification_configuration(Bucket=bucket)) == {}
    rule = {
        "Id": "thumbnails",
        "LambdaFunctionArn": f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:thumbnail",
        "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:Delete"],
        "Filter": {"Key": {"FilterRules": [{"Name": "Prefix", "Value": "in/"}, {"Name": "Suffix", "Value": ".jpg"}]}},
    }
    document = {"LambdaFunctionConfigurations": [rule], "EventBridgeConfiguration": {}}
    await s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration=document, SkipDestinationValidation=True
    )
    assert without_metadata(await s3.get_bucket_notification_configuration(Bucket=bucket)) == document
    await s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
    assert without_metadata(await s3.get_bucket_notification_configuration(Bucket=bucket)) == {}


async def test_an_owner_that_is_not_the_expected_one(s3: Client, bucket: str) -> None:
    asked = {"Bucket": bucket, "ExpectedBucketOwner": "999999999999"}
    assert await s3.refused("get_bucket_cors", **asked) == ("AccessDenied", 403)
