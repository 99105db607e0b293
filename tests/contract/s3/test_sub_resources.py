"""What is configured of a bucket: what one has by default, and that what is put is read until it is taken away."""

from typing import Any

import pytest

from tests.contract.s3.conftest import Client

DEFAULTS: dict[str, dict[str, Any]] = {
    "get_bucket_versioning": {},
    "get_bucket_logging": {},
    "get_bucket_accelerate_configuration": {},
    "get_bucket_notification_configuration": {},
    "get_bucket_request_payment": {"Payer": "BucketOwner"},
    "get_bucket_ownership_controls": {"OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}},
    "list_bucket_analytics_configurations": {"IsTruncated": False},
    "list_bucket_intelligent_tiering_configurations": {"IsTruncated": False},
    "list_bucket_inventory_configurations": {"IsTruncated": False},
    "list_bucket_metrics_configurations": {"IsTruncated": False},
}
NONE = {
    "get_bucket_lifecycle_configuration": "NoSuchLifecycleConfiguration",
    "get_object_lock_configuration": "ObjectLockConfigurationNotFoundError",
    "get_bucket_cors": "NoSuchCORSConfiguration",
    "get_bucket_tagging": "NoSuchTagSet",
    "get_bucket_website": "NoSuchWebsiteConfiguration",
    "get_bucket_replication": "ReplicationConfigurationNotFoundError",
    "get_bucket_policy": "NoSuchBucketPolicy",
    "get_bucket_policy_status": "NoSuchBucketPolicy",
}
NAMED = (
    *("get_bucket_analytics_configuration", "delete_bucket_analytics_configuration"),
    *("get_bucket_intelligent_tiering_configuration", "delete_bucket_intelligent_tiering_configuration"),
    *("get_bucket_inventory_configuration", "delete_bucket_inventory_configuration"),
    *("get_bucket_metrics_configuration", "delete_bucket_metrics_configuration"),
)
TAGS = {"TagSet": [{"Key": "a", "Value": "b"}]}
RULE = {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": "x"}, "Expiration": {"Days": 1}}
OPEN = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), False)
SSE = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": False}]}
KEPT: dict[str, tuple[str, dict[str, Any]]] = {
    "put_bucket_cors": ("CORSConfiguration", {"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]}),
    "put_bucket_tagging": ("Tagging", TAGS),
    "put_bucket_encryption": ("ServerSideEncryptionConfiguration", SSE),
    "put_public_access_block": ("PublicAccessBlockConfiguration", OPEN),
    "put_bucket_ownership_controls": ("OwnershipControls", {"Rules": [{"ObjectOwnership": "ObjectWriter"}]}),
    "put_bucket_request_payment": ("RequestPaymentConfiguration", {"Payer": "Requester"}),
    "put_bucket_accelerate_configuration": ("AccelerateConfiguration", {"Status": "Enabled"}),
}
DELETED = {
    "delete_bucket_cors",
    "delete_bucket_tagging",
    "delete_bucket_encryption",
    "delete_public_access_block",
    "delete_bucket_ownership_controls",
    "delete_bucket_website",
    "delete_bucket_replication",
}


def said(reply: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in reply.items() if name != "ResponseMetadata"}


@pytest.mark.parametrize("operation", DEFAULTS)
async def test_a_new_bucket_has_the_defaults_of_aws(s3: Client, bucket: str, operation: str) -> None:
    assert said(await getattr(s3, operation)(Bucket=bucket)) == DEFAULTS[operation]


@pytest.mark.parametrize("operation", NONE)
async def test_what_a_new_bucket_has_not_is_told_by_its_own_code(s3: Client, bucket: str, operation: str) -> None:
    assert await s3.refused(operation, Bucket=bucket) == (NONE[operation], 404)


@pytest.mark.parametrize("operation", NAMED)
async def test_there_are_no_named_configurations(s3: Client, bucket: str, operation: str) -> None:
    assert await s3.refused(operation, Bucket=bucket, Id="x") == ("NoSuchConfiguration", 404)


async def test_nothing_is_public_and_everything_encrypted_by_default(s3: Client, bucket: str) -> None:
    block = (await s3.get_public_access_block(Bucket=bucket))["PublicAccessBlockConfiguration"]
    assert set(block.values()) == {True}
    rules = (await s3.get_bucket_encryption(Bucket=bucket))["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}


@pytest.mark.parametrize("operation", KEPT)
async def test_what_is_put_is_read(s3: Client, bucket: str, operation: str) -> None:
    member, document = KEPT[operation]
    await getattr(s3, operation)(Bucket=bucket, **{member: document})
    found = said(await getattr(s3, operation.replace("put", "get", 1))(Bucket=bucket))
    for name, value in document.items():
        assert found.get(member, found)[name] == value


@pytest.mark.parametrize("operation", sorted(DELETED))
async def test_deleting_what_is_not_there_succeeds(s3: Client, bucket: str, operation: str) -> None:
    reply = await getattr(s3, operation)(Bucket=bucket)
    assert reply["ResponseMetadata"]["HTTPStatusCode"] == 204


async def test_a_lifecycle_is_kept_and_shows_on_objects(s3: Client, bucket: str) -> None:
    await s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [RULE]})
    assert (await s3.get_bucket_lifecycle_configuration(Bucket=bucket))["Rules"] == [RULE]
    put = await s3.put_object(Bucket=bucket, Key="x1", Body=b"")
    assert 'rule-id="r"' in put["Expiration"]
    assert "Expiration" not in await s3.put_object(Bucket=bucket, Key="y", Body=b"")
    await s3.delete_bucket_lifecycle(Bucket=bucket)
    assert "Expiration" not in await s3.head_object(Bucket=bucket, Key="x1")


async def test_a_policy_is_text_as_it_was_put(s3: Client, bucket: str) -> None:
    text = (
        '{"Version": "2012-10-17",  "Statement": {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject",'
        ' "Resource": "arn:aws:s3:::photos/closed/*"}}'
    )
    await s3.put_bucket_policy(Bucket=bucket, Policy=text)
    assert (await s3.get_bucket_policy(Bucket=bucket))["Policy"] == text
    await s3.put_object(Bucket=bucket, Key="open", Body=b"")
    assert await s3.refused("put_object", Bucket=bucket, Key="closed/k", Body=b"") == ("AccessDenied", 403)
    await s3.delete_bucket_policy(Bucket=bucket)
    await s3.put_object(Bucket=bucket, Key="closed/k", Body=b"")


async def test_the_acl_of_a_bucket_is_its_owners(s3: Client, bucket: str) -> None:
    grants = (await s3.get_bucket_acl(Bucket=bucket))["Grants"]
    assert [grant["Permission"] for grant in grants] == ["FULL_CONTROL"]
    refused = await s3.refused("put_bucket_acl", Bucket=bucket, ACL="public-read")
    assert refused == ("AccessControlListNotSupported", 400)


async def test_logging_goes_to_a_bucket_that_exists(s3: Client, bucket: str) -> None:
    there = {"LoggingEnabled": {"TargetBucket": "nothing", "TargetPrefix": ""}}
    refused = await s3.refused("put_bucket_logging", Bucket=bucket, BucketLoggingStatus=there)
    assert refused[1] in (400, 501)


async def test_object_lock_is_of_versioned_buckets(s3: Client, bucket: str) -> None:
    lock = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}}
    refused = await s3.refused("put_object_lock_configuration", Bucket=bucket, ObjectLockConfiguration=lock)
    assert refused == ("InvalidBucketState", 409)
    await s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    await s3.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration=lock)
    assert (await s3.get_object_lock_configuration(Bucket=bucket))["ObjectLockConfiguration"] == lock
    await s3.put_object(Bucket=bucket, Key="k", Body=b"")
    assert (await s3.head_object(Bucket=bucket, Key="k"))["ObjectLockMode"] == "GOVERNANCE"
