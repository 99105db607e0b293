"""Sub-resources of buckets: what a new bucket answers, what is kept, what is refused (spec section 3)."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.unit.services.s3.conftest import S3, MakeS3

RULE = {"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}
FLAGS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")


@pytest.mark.parametrize(
    ("operation", "code", "message"),
    [
        ("GetBucketTagging", "NoSuchTagSet", "The TagSet does not exist"),
        ("GetBucketPolicy", "NoSuchBucketPolicy", "The bucket policy does not exist"),
        ("GetBucketPolicyStatus", "NoSuchBucketPolicy", "The bucket policy does not exist"),
        ("GetBucketCors", "NoSuchCORSConfiguration", "The CORS configuration does not exist"),
        (
            "GetBucketLifecycleConfiguration",
            "NoSuchLifecycleConfiguration",
            "The lifecycle configuration does not exist",
        ),
        (
            "GetBucketWebsite",
            "NoSuchWebsiteConfiguration",
            "The specified bucket does not have a website configuration",
        ),
        (
            "GetBucketReplication",
            "ReplicationConfigurationNotFoundError",
            "The replication configuration was not found",
        ),
        (
            "GetObjectLockConfiguration",
            "ObjectLockConfigurationNotFoundError",
            "Object Lock configuration does not exist for this bucket",
        ),
    ],
)
async def test_a_new_bucket_has_none_in_awss_words(s3: S3, operation: str, code: str, message: str) -> None:
    await s3.bucket()
    error = await s3.error(operation, Bucket="bkt")
    assert (error.status, error.code, error.message) == (404, code, message)


@pytest.mark.parametrize("noun", ["Analytics", "IntelligentTiering", "Inventory", "Metrics"])
async def test_named_configurations_are_never_there(s3: S3, noun: str) -> None:
    await s3.bucket()
    error = await s3.error(f"GetBucket{noun}Configuration", Bucket="bkt", Id="x")
    assert (error.status, error.code) == (404, "NoSuchConfiguration")
    assert await s3(f"ListBucket{noun}Configurations", Bucket="bkt") == {"IsTruncated": False}


@pytest.mark.parametrize(
    ("operation", "default"),
    [
        ("GetBucketVersioning", {}),
        ("GetBucketNotificationConfiguration", {}),
        ("GetBucketLogging", {}),
        ("GetBucketAccelerateConfiguration", {}),
        ("GetBucketRequestPayment", {"Payer": "BucketOwner"}),
        ("GetBucketOwnershipControls", {"OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}}),
        ("GetPublicAccessBlock", {"PublicAccessBlockConfiguration": dict.fromkeys(FLAGS, True)}),
        (
            "GetBucketEncryption",
            {
                "ServerSideEncryptionConfiguration": {
                    "Rules": [
                        {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": False}
                    ]
                }
            },
        ),
    ],
)
async def test_a_new_bucket_has_awss_defaults(s3: S3, operation: str, default: Any) -> None:
    await s3.bucket()
    assert await s3(operation, Bucket="bkt") == default


@pytest.mark.parametrize("operation", ["GetBucketCors", "PutBucketPolicy", "GetBucketWebsite", "GetBucketVersioning"])
async def test_a_bucket_that_is_not_there(s3: S3, operation: str) -> None:
    assert (await s3.error(operation, Bucket="nobody", Policy="{}")).code == "NoSuchBucket"


async def test_what_is_deleted_is_not_the_default_again(s3: S3) -> None:
    await s3.bucket()
    for noun, code in (
        ("PublicAccessBlock", "NoSuchPublicAccessBlockConfiguration"),
        ("BucketOwnershipControls", "OwnershipControlsNotFoundError"),
    ):
        for _ in range(2):
            await s3(f"Delete{noun}", Bucket="bkt")
        assert (await s3.error(f"Get{noun}", Bucket="bkt")).code == code


async def test_documents_survive_a_restart_and_end_with_their_bucket(make_s3: MakeS3) -> None:
    s3 = await make_s3()
    await s3.bucket()
    await s3("PutBucketCors", Bucket="bkt", CORSConfiguration={"CORSRules": [RULE]})
    await s3("PutBucketTagging", Bucket="bkt", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    await s3.service.close()
    await s3.database.close()
    again = await make_s3()
    assert await again("GetBucketCors", Bucket="bkt") == {"CORSRules": [RULE]}
    assert await again("GetBucketTagging", Bucket="bkt") == {"TagSet": [{"Key": "a", "Value": "b"}]}
    await again("DeleteBucket", Bucket="bkt")
    await again.bucket()
    assert (await again.error("GetBucketCors", Bucket="bkt")).code == "NoSuchCORSConfiguration"


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({}, "IllegalVersioningConfigurationException"),
        ({"Status": "enabled"}, "MalformedXML"),
        ({"Status": "Enabled", "MFADelete": "Enabled"}, "NotImplementedException"),
    ],
)
async def test_a_versioning_that_is_none(s3: S3, given: dict[str, str], code: str) -> None:
    await s3.bucket()
    assert (await s3.error("PutBucketVersioning", Bucket="bkt", VersioningConfiguration=given)).code == code


async def test_versioning_cannot_be_suspended_under_a_lock(s3: S3) -> None:
    await s3.bucket(ObjectLockEnabledForBucket=True)
    suspended = {"Status": "Suspended"}
    error = await s3.error("PutBucketVersioning", Bucket="bkt", VersioningConfiguration=suspended)
    assert (error.status, error.code) == (409, "InvalidBucketState")


@pytest.mark.parametrize(
    ("rule", "code", "text"),
    [
        ({"AllowedMethods": ["PATCH"], "AllowedOrigins": ["*"]}, "InvalidRequest", "Unsupported method is PATCH"),
        ({"AllowedMethods": [], "AllowedOrigins": ["*"]}, "MalformedXML", ""),
        ({"AllowedMethods": ["GET"], "AllowedOrigins": ["*a*"]}, "InvalidRequest", "more than one wildcard"),
    ],
)
async def test_a_cors_rule_that_is_none(s3: S3, rule: dict[str, Any], code: str, text: str) -> None:
    await s3.bucket()
    error = await s3.error("PutBucketCors", Bucket="bkt", CORSConfiguration={"CORSRules": [rule]})
    assert error.code == code
    assert text in str(error.message)


async def test_an_empty_tag_set_takes_the_tags_away(s3: S3) -> None:
    await s3.bucket()
    await s3("PutBucketTagging", Bucket="bkt", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    await s3("PutBucketTagging", Bucket="bkt", Tagging={"TagSet": []})
    assert (await s3.error("GetBucketTagging", Bucket="bkt")).code == "NoSuchTagSet"


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ([{"Key": "a", "Value": ""}, {"Key": "a", "Value": ""}], "Cannot provide multiple Tags with the same key"),
        ([{"Key": "aws:a", "Value": ""}], "System tags cannot be added/updated by requester"),
        ([{"Key": "a,b", "Value": ""}], "The TagKey you have provided is invalid"),
        ([{"Key": "a", "Value": "x" * 257}], "The TagValue you have provided is invalid"),
    ],
)
async def test_a_tag_that_is_none(s3: S3, tags: list[dict[str, str]], message: str) -> None:
    await s3.bucket()
    error = await s3.error("PutBucketTagging", Bucket="bkt", Tagging={"TagSet": tags})
    assert (error.code, error.message) == ("InvalidTag", message)


async def test_flags_that_are_not_said_are_false(s3: S3) -> None:
    await s3.bucket()
    await s3("PutPublicAccessBlock", Bucket="bkt", PublicAccessBlockConfiguration={"BlockPublicAcls": True})
    shown = await s3("GetPublicAccessBlock", Bucket="bkt")
    assert shown["PublicAccessBlockConfiguration"] == dict.fromkeys(FLAGS, False) | {"BlockPublicAcls": True}


async def test_what_would_do_nothing_is_not_built(s3: S3) -> None:
    await s3.bucket()
    enabled = {"LoggingEnabled": {"TargetBucket": "bkt", "TargetPrefix": ""}}
    assert (await s3.error("PutBucketLogging", Bucket="bkt", BucketLoggingStatus=enabled)).status == 501
    assert await s3("PutBucketLogging", Bucket="bkt", BucketLoggingStatus={}) == {}
    for operation in ("PutBucketWebsite", "PutBucketReplication", "PutBucketInventoryConfiguration"):
        assert operation not in s3.service.operations()


async def test_an_encryption_with_a_key_needs_kms(s3: S3) -> None:
    await s3.bucket()
    default = {"SSEAlgorithm": "AES256", "KMSMasterKeyID": "k"}
    rules = {"Rules": [{"ApplyServerSideEncryptionByDefault": default}]}
    error = await s3.error("PutBucketEncryption", Bucket="bkt", ServerSideEncryptionConfiguration=rules)
    assert (error.code, error.members["ArgumentName"]) == ("InvalidArgument", "ApplyServerSideEncryptionByDefault")


async def test_a_default_retention(s3: S3) -> None:
    await s3.bucket()
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 3}}
    document = {"ObjectLockEnabled": "Enabled", "Rule": rule}
    error = await s3.error("PutObjectLockConfiguration", Bucket="bkt", ObjectLockConfiguration=document)
    assert (error.status, error.code) == (409, "InvalidBucketState")
    await s3("PutBucketVersioning", Bucket="bkt", VersioningConfiguration={"Status": "Enabled"})
    await s3("PutObjectLockConfiguration", Bucket="bkt", ObjectLockConfiguration=document)
    assert await s3("GetObjectLockConfiguration", Bucket="bkt") == {"ObjectLockConfiguration": document}
    await s3.put("k")
    retention = (await s3("GetObjectRetention", Bucket="bkt", Key="k"))["Retention"]
    assert retention["Mode"] == "GOVERNANCE"
    both = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 3, "Years": 1}}
    wrong = {"ObjectLockEnabled": "Enabled", "Rule": both}
    assert (await s3.error("PutObjectLockConfiguration", Bucket="bkt", ObjectLockConfiguration=wrong)).code == (
        "MalformedXML"
    )


async def test_retention_and_holds_of_an_object(s3: S3) -> None:
    await s3.bucket(ObjectLockEnabledForBucket=True)
    await s3.put("k")
    asked = {"Bucket": "bkt", "Key": "k"}
    assert (await s3.error("GetObjectRetention", **asked)).code == "NoSuchObjectLockConfiguration"
    assert await s3("GetObjectLegalHold", **asked) == {"LegalHold": {"Status": "OFF"}}
    await s3("PutObjectLegalHold", **asked, LegalHold={"Status": "ON"})
    assert await s3("GetObjectLegalHold", **asked) == {"LegalHold": {"Status": "ON"}}

    until = datetime(2030, 1, 1, tzinfo=UTC)
    await s3("PutObjectRetention", **asked, Retention={"Mode": "COMPLIANCE", "RetainUntilDate": until})
    shorter = {"Mode": "COMPLIANCE", "RetainUntilDate": datetime(2029, 1, 1, tzinfo=UTC)}
    refused = await s3.error("PutObjectRetention", **asked, Retention=shorter, BypassGovernanceRetention=True)
    assert (refused.status, refused.code) == (403, "AccessDenied")
    longer = {"Mode": "COMPLIANCE", "RetainUntilDate": datetime(2031, 1, 1, tzinfo=UTC)}
    await s3("PutObjectRetention", **asked, Retention=longer)
    assert await s3("GetObjectRetention", **asked) == {"Retention": longer}


async def test_a_bucket_without_a_lock_has_no_holds(s3: S3) -> None:
    await s3.bucket()
    await s3.put("k")
    error = await s3.error("PutObjectLegalHold", Bucket="bkt", Key="k", LegalHold={"Status": "ON"})
    assert (error.code, error.message) == ("InvalidRequest", "Bucket is missing Object Lock Configuration")
