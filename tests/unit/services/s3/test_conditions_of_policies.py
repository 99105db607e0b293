"""What a bucket policy may ask of a request besides who sends it, and keys that are decided one by one."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from lambent.aws.errors import ApiError
from lambent.aws.streams import Upload
from tests.unit.services.s3.conftest import S3, read

ARN = "arn:aws:s3:::bkt"
OTHER = "111122223333"


async def let(s3: S3, action: str, **statement: Any) -> S3:
    """What another account may then do, and nothing else."""
    whole = {"Effect": "Allow", "Principal": {"AWS": OTHER}, "Action": action, "Resource": [ARN, f"{ARN}/*"]}
    await s3("PutBucketPolicy", Bucket="bkt", Policy=json.dumps({"Statement": [whole | statement]}))
    return replace(s3, account=OTHER)


async def may(asker: S3, operation: str, **parameters: Any) -> bool:
    if operation == "PutObject":
        parameters["Body"] = Upload.of(b"x")
    try:
        result = await asker(operation, Bucket="bkt", **parameters)
        if operation == "GetObject":
            await read(result)
    except ApiError as error:
        if error.code != "AccessDenied":
            raise
        return False
    return True


def wire(asker: S3, **keys: str) -> S3:
    """With what the wire knows of its requests."""
    return replace(asker, wire={"conditions": lambda: {key.replace("_", ":", 1): value for key, value in keys.items()}})


FULL = "bucket-owner-full-control"
ONLY_A = {"ForAllValues:StringEquals": {"s3:RequestObjectTagKeys": ["a"]}}
KMS = {"StringEquals": {"s3:x-amz-server-side-encryption": "aws:kms"}}


@pytest.mark.parametrize(
    ("condition", "operation", "good", "bad"),
    [
        ({"StringEquals": {"s3:prefix": "in/"}}, "ListObjectsV2", {"Prefix": "in/"}, {"Prefix": "out/"}),
        ({"StringEquals": {"s3:delimiter": "/"}}, "ListObjects", {"Delimiter": "/"}, {}),
        ({"NumericLessThanEquals": {"s3:max-keys": "10"}}, "ListObjectsV2", {"MaxKeys": 10}, {"MaxKeys": 11}),
        ({"StringEquals": {"s3:x-amz-storage-class": "GLACIER"}}, "PutObject", {"StorageClass": "GLACIER"}, {}),
        ({"StringEquals": {"s3:x-amz-acl": FULL}}, "PutObject", {"ACL": FULL}, {"ACL": "private"}),
        ({"Null": {"s3:if-none-match": "false"}}, "PutObject", {"IfNoneMatch": "*"}, {}),
        ({"StringEquals": {"s3:RequestObjectTag/a": "b"}}, "PutObject", {"Tagging": "a=b"}, {"Tagging": "a=c"}),
        (ONLY_A, "PutObject", {"Tagging": "a=1"}, {"Tagging": "a=1&b=2"}),
        (KMS, "PutObject", {"ServerSideEncryption": "aws:kms"}, {}),
        ({"DateGreaterThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}, "ListObjects", {}, None),
        ({"StringEquals": {"aws:ResourceAccount": "000000000000"}}, "ListObjects", {}, None),
    ],
)
async def test_a_condition_looks_at_what_is_asked(
    s3: S3, condition: dict[str, Any], operation: str, good: dict[str, Any], bad: dict[str, Any] | None
) -> None:
    await s3.bucket()
    other = await let(s3, "s3:*", Condition=condition)
    key = {"Key": "k"} if operation == "PutObject" else {}
    assert await may(other, operation, **key, **good)
    assert bad is None or not await may(other, operation, **key, **bad)


@pytest.mark.parametrize(
    ("condition", "good", "bad"),
    [
        ({"StringLike": {"aws:Referer": "https://a.test/*"}}, {"aws_Referer": "https://a.test/x"}, {}),
        ({"StringEquals": {"s3:authType": "REST-HEADER"}}, {"s3_authType": "REST-HEADER"}, {"s3_authType": "POST"}),
        ({"NumericLessThan": {"s3:signatureAge": 1000}}, {"s3_signatureAge": "999"}, {"s3_signatureAge": "1000"}),
    ],
)
async def test_a_condition_looks_at_what_the_wire_knows(
    s3: S3, condition: dict[str, Any], good: dict[str, str], bad: dict[str, str]
) -> None:
    await s3.bucket()
    other = await let(s3, "s3:ListBucket", Condition=condition)
    assert await may(wire(other, **good), "ListObjectsV2")
    assert not await may(wire(other, **bad), "ListObjectsV2")


async def test_a_policy_may_name_addresses_and_holds_for_the_owner_too(s3: S3) -> None:
    await s3.bucket()
    outside = {"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}
    await let(s3, "s3:ListBucket", Principal="*", Effect="Deny", Condition=outside)
    assert await may(replace(s3, wire={"source_ip": "10.1.2.3"}), "ListObjectsV2")
    assert not await may(replace(s3, wire={"source_ip": "192.0.2.1"}), "ListObjectsV2")


@pytest.mark.parametrize(("address", "secure"), [("127.0.0.1", True), ("::1", True), ("192.0.2.1", False), ("", True)])
async def test_what_stays_on_the_machine_is_as_good_as_tls(s3: S3, address: str, secure: bool) -> None:
    await s3.bucket()
    await let(s3, "s3:*", Principal="*", Effect="Deny", Condition={"Bool": {"aws:SecureTransport": "false"}})
    assert await may(replace(s3, wire={"source_ip": address}), "ListObjectsV2") is secure


async def test_a_condition_looks_at_the_tags_that_the_object_has(s3: S3) -> None:
    await s3.bucket()
    other = await let(s3, "s3:GetObject", Condition={"StringEquals": {"s3:ExistingObjectTag/public": "yes"}})
    await s3.put("k", b"x", Tagging="public=yes")
    await s3.put("l", b"x")
    assert await may(other, "GetObject", Key="k")
    assert not await may(other, "GetObject", Key="l")
    assert not await may(other, "GetObject", Key="none")


async def test_tags_holds_and_passing_them_by_are_actions_of_their_own(s3: S3) -> None:
    await s3.bucket(ObjectLockEnabledForBucket=True)
    other = await let(s3, "s3:PutObject")
    until = s3.clock.now() + timedelta(days=1)
    for more in (
        {"Tagging": "a=b"},
        {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": until},
        {"ObjectLockLegalHoldStatus": "ON"},
    ):
        assert not await may(other, "PutObject", Key="k", **more), more
    assert await may(other, "PutObject", Key="k")
    other = await let(s3, "s3:DeleteObject")
    assert not await may(other, "DeleteObject", Key="k", BypassGovernanceRetention=True)
    assert await may(other, "DeleteObject", Key="k")


async def test_each_key_of_a_deletion_is_decided_by_itself(s3: S3) -> None:
    await s3.bucket()
    for key in ("mine/a", "mine/b", "c"):
        await s3.put(key)
    other = await let(s3, "s3:DeleteObject", Resource=f"{ARN}/mine/*")
    objects = [{"Key": "mine/a"}, {"Key": "c"}, {"Key": "mine/b", "VersionId": "null"}]
    done = await other("DeleteObjects", Bucket="bkt", Delete={"Objects": objects})
    assert done["Deleted"] == [{"Key": "mine/a"}]
    said = {"Code": "AccessDenied", "Message": "Access Denied"}
    assert done["Errors"] == [{"Key": "c", **said}, {"Key": "mine/b", "VersionId": "null", **said}]
    none = await other("DeleteObjects", Bucket="bkt", Delete={"Objects": [{"Key": "c"}], "Quiet": True})
    assert [each["Key"] for each in none["Errors"]] == ["c"]
    assert [each["Key"] for each in (await s3("ListObjectsV2", Bucket="bkt"))["Contents"]] == ["c", "mine/b"]


async def test_who_may_not_list_is_not_told_that_a_key_is_missing(s3: S3) -> None:
    await s3.bucket()
    other = await let(s3, "s3:GetObject")
    assert (await other.error("GetObject", Bucket="bkt", Key="none")).code == "AccessDenied"
    other = await let(s3, "s3:*")
    assert (await other.error("GetObject", Bucket="bkt", Key="none")).code == "NoSuchKey"


async def test_others_say_that_they_pay_where_they_have_to(s3: S3) -> None:
    await s3.bucket()
    await s3("PutBucketRequestPayment", Bucket="bkt", RequestPaymentConfiguration={"Payer": "Requester"})
    other = await let(s3, "s3:*")
    assert not await may(other, "ListObjectsV2")
    assert (await other("ListObjectsV2", Bucket="bkt", RequestPayer="requester"))["RequestCharged"] == "requester"
    assert "RequestCharged" not in await s3("ListObjectsV2", Bucket="bkt")


async def with_acls(s3: S3) -> None:
    await s3.bucket(ObjectOwnership="ObjectWriter")
    await s3("DeletePublicAccessBlock", Bucket="bkt")


async def test_a_grant_of_an_object_lets_in_whom_it_names(s3: S3) -> None:
    await with_acls(s3)
    anybody, other = replace(s3, account=None), replace(s3, account=OTHER)
    for acl, strangers, signed in (("private", 0, 0), ("public-read", 1, 1), ("authenticated-read", 0, 1)):
        await s3.put("k", b"x", ACL=acl)
        assert await may(anybody, "GetObject", Key="k") == bool(strangers), acl
        assert await may(other, "HeadObject", Key="k") == bool(signed), acl
        assert not await may(other, "GetObjectAcl", Key="k")
    await s3("PutPublicAccessBlock", Bucket="bkt", PublicAccessBlockConfiguration={"IgnorePublicAcls": True})
    assert not await may(other, "GetObject", Key="k")


async def test_a_grant_names_the_canonical_id_of_another_account(s3: S3) -> None:
    await with_acls(s3)
    other, third = replace(s3, account=OTHER), replace(s3, account="999999999999")
    await other("CreateBucket", Bucket="others")
    id = (await other("ListBuckets"))["Owner"]["ID"]
    await s3.put("k", b"x", GrantRead=f'id="{id}"')
    assert await may(other, "GetObject", Key="k")
    assert not await may(third, "GetObject", Key="k")
    assert not await may(other, "PutObjectAcl", Key="k", ACL="public-read")
    await s3("PutObjectAcl", Bucket="bkt", Key="k", GrantFullControl=f'id="{id}"')
    assert await may(other, "PutObjectAcl", Key="k", ACL="private")
    assert not await may(other, "GetObject", Key="k")


async def test_a_deny_is_stronger_than_a_grant_and_the_owner_may_switch_acls_off(s3: S3) -> None:
    await with_acls(s3)
    await s3.put("k", b"x", ACL="public-read")
    anybody = replace(s3, account=None)
    await let(s3, "s3:GetObject", Principal="*", Effect="Deny")
    assert not await may(anybody, "GetObject", Key="k")
    await s3("DeleteBucketPolicy", Bucket="bkt")
    assert await may(anybody, "GetObject", Key="k")
    rules = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    await s3("PutBucketOwnershipControls", Bucket="bkt", OwnershipControls=rules)
    assert not await may(anybody, "GetObject", Key="k")


async def test_a_missing_key_is_told_to_who_may_list_by_an_acl(s3: S3) -> None:
    await with_acls(s3)
    anybody = replace(s3, account=None)
    assert (await anybody.error("GetObject", Bucket="bkt", Key="none")).code == "AccessDenied"
    await s3("PutBucketAcl", Bucket="bkt", ACL="public-read")
    assert (await anybody.error("GetObject", Bucket="bkt", Key="none")).code == "NoSuchKey"
