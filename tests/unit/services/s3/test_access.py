"""Who may do what with a bucket: policies, ACLs, and the public access block over both."""

import json
from dataclasses import replace
from typing import Any

import pytest

from lambent.aws.errors import ApiError
from lambent.aws.service import CallContext, Identity, Source
from lambent.aws.streams import Upload
from lambent.services.s3.configs.acl import EVERYBODY
from lambent.services.s3.configs.policy import checked, is_public
from tests.unit.services.s3.conftest import ACCOUNT, S3

ARN = "arn:aws:s3:::bkt"
OTHER = "111122223333"


def document(**statement: Any) -> str:
    whole = {"Effect": "Allow", "Principal": {"AWS": OTHER}, "Action": "s3:GetObject", "Resource": f"{ARN}/*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [whole | statement]})


async def open_bucket(s3: S3) -> None:
    """Without what keeps the public out."""
    await s3.bucket()
    await s3("DeletePublicAccessBlock", Bucket="bkt")
    await s3.put("k", b"x")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Policies must be valid JSON and the first byte must be '{'"),
        ("[]", "Policies must be valid JSON and the first byte must be '{'"),
        ("{", "Policies must be valid JSON and the first byte must be '{'"),
        ("{}", "Missing required field Statement"),
        (document(Resource="arn:aws:s3:::other/*"), "Policy has invalid resource"),
        (document(Resource="arn:aws:sqs:us-east-1:1:q"), "Policy has invalid resource"),
        (document(Action="sqs:SendMessage"), "Policy has invalid action"),
        (document(Principal={"AWS": "nobody"}), "Invalid principal in policy"),
    ],
)
def test_a_policy_that_is_none(text: str, message: str) -> None:
    with pytest.raises(ApiError) as refused:
        checked(text, ARN)
    assert (refused.value.code, refused.value.message) == ("MalformedPolicy", message)


@pytest.mark.parametrize(
    ("text", "public"),
    [
        (document(), False),
        (document(Principal="*"), True),
        (document(Principal={"AWS": "*"}), True),
        (document(Principal="*", Effect="Deny"), False),
        (document(Principal="*", Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}), False),
        (document(Principal="*", Condition={"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}), True),
        (document(Principal="*", Condition={"StringEquals": {"aws:Referer": "x"}}), True),
        (document(Principal="*", Condition={"StringLike": {"aws:PrincipalOrgID": "o-*"}}), True),
    ],
)
def test_whether_a_policy_is_public(text: str, public: bool) -> None:
    assert is_public(text) is public


async def test_a_policy_is_shown_as_it_was_put(s3: S3) -> None:
    await s3.bucket()
    text = document().replace(" ", "  ")
    await s3("PutBucketPolicy", Bucket="bkt", Policy=text)
    assert await s3("GetBucketPolicy", Bucket="bkt") == {"Policy": text}
    assert await s3("GetBucketPolicyStatus", Bucket="bkt") == {"PolicyStatus": {"IsPublic": False}}
    for _ in range(2):
        await s3("DeleteBucketPolicy", Bucket="bkt")
    assert (await s3.error("GetBucketPolicy", Bucket="bkt")).code == "NoSuchBucketPolicy"


async def test_a_public_policy_is_refused_by_the_access_block(s3: S3) -> None:
    await s3.bucket()
    error = await s3.error("PutBucketPolicy", Bucket="bkt", Policy=document(Principal="*"))
    assert (error.status, error.code) == (403, "AccessDenied")


async def test_another_account_may_what_the_policy_allows(s3: S3) -> None:
    await open_bucket(s3)
    other = replace(s3, account=OTHER)
    assert (await other.error("GetObject", Bucket="bkt", Key="k")).code == "AccessDenied"
    await s3("PutBucketPolicy", Bucket="bkt", Policy=document())
    assert await other.get("k") == b"x"
    for operation, more in (("DeleteObject", {"Key": "k"}), ("ListObjectsV2", {}), ("GetBucketPolicy", {})):
        assert (await other.error(operation, Bucket="bkt", **more)).code == "AccessDenied", operation


async def test_another_account_copies_only_what_it_may_read(s3: S3) -> None:
    await open_bucket(s3)
    other = replace(s3, account=OTHER)
    await other("CreateBucket", Bucket="mine")
    copy = {"Bucket": "mine", "Key": "k", "CopySource": "bkt/k"}
    assert (await other.error("CopyObject", **copy)).code == "AccessDenied"
    await s3("PutBucketPolicy", Bucket="bkt", Policy=document())
    await other("CopyObject", **copy)


async def test_a_deny_is_for_the_owner_too_who_can_take_it_back(s3: S3) -> None:
    await open_bucket(s3)
    deny = document(Effect="Deny", Principal="*", Action="s3:*", Resource=[ARN, f"{ARN}/*"])
    await s3("PutBucketPolicy", Bucket="bkt", Policy=deny)
    assert (await s3.error("GetObject", Bucket="bkt", Key="k")).code == "AccessDenied"
    await s3("DeleteBucketPolicy", Bucket="bkt")
    assert await s3.get("k") == b"x"


async def test_strangers_come_in_by_a_public_policy_that_is_not_restricted(s3: S3) -> None:
    await open_bucket(s3)
    anybody = replace(s3, account=None)
    refused = await anybody.error("GetObject", Bucket="bkt", Key="k")
    assert refused.code == "AccessDenied"
    await s3("PutBucketPolicy", Bucket="bkt", Policy=document(Principal="*"))
    assert await anybody.get("k") == b"x"
    for operation, more in (("DeleteObject", {"Key": "k"}), ("ListObjectsV2", {}), ("CreateBucket", {})):
        assert (await anybody.error(operation, Bucket="bkt", **more)).code == "AccessDenied", operation
    await s3("PutPublicAccessBlock", Bucket="bkt", PublicAccessBlockConfiguration={"RestrictPublicBuckets": True})
    assert (await anybody.error("GetObject", Bucket="bkt", Key="k")).code == "AccessDenied"


async def test_a_service_comes_for_the_resource_that_the_policy_names(s3: S3) -> None:
    await open_bucket(s3)
    statement = {
        "Principal": {"Service": "logs.amazonaws.com"},
        "Action": "s3:PutObject",
        "Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:logs:*:*:group"}},
    }
    await s3("PutBucketPolicy", Bucket="bkt", Policy=document(**statement))

    async def asks(arn: str) -> None:
        service = Identity(ACCOUNT, "logs.amazonaws.com", "")
        source = Source(arn, ACCOUNT)
        context = CallContext(ACCOUNT, s3.region, "id", service, "http://localhost", source=source)
        await s3.service.access.admit("PutObject", context, {"Bucket": "bkt", "Key": "k"})

    await asks("arn:aws:logs:us-east-1:000000000000:group")
    with pytest.raises(ApiError):
        await asks("arn:aws:logs:us-east-1:000000000000:another")


async def test_acls_are_refused_where_the_owner_owns_all(s3: S3) -> None:
    await open_bucket(s3)
    for operation, more in (("PutBucketAcl", {}), ("PutObjectAcl", {"Key": "k"})):
        error = await s3.error(operation, Bucket="bkt", ACL="public-read", **more)
        assert (error.code, error.message) == ("AccessControlListNotSupported", "The bucket does not allow ACLs")
    shown = await s3("GetBucketAcl", Bucket="bkt")
    (grant,) = shown["Grants"]
    assert (grant["Permission"], grant["Grantee"]["ID"]) == ("FULL_CONTROL", shown["Owner"]["ID"])
    assert len(shown["Owner"]["ID"]) == 64


async def test_a_public_acl_lets_anybody_list_until_it_is_ignored(s3: S3) -> None:
    await open_bucket(s3)
    rules = {"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
    await s3("PutBucketOwnershipControls", Bucket="bkt", OwnershipControls=rules)
    await s3("PutBucketAcl", Bucket="bkt", ACL="public-read")
    assert await replace(s3, account=OTHER)("ListObjectsV2", Bucket="bkt")
    assert await replace(s3, account=None)("ListObjectsV2", Bucket="bkt")
    grants = (await s3("GetBucketAcl", Bucket="bkt"))["Grants"]
    assert grants[1] == {"Grantee": {"Type": "Group", "URI": EVERYBODY}, "Permission": "READ"}
    await s3("PutPublicAccessBlock", Bucket="bkt", PublicAccessBlockConfiguration={"IgnorePublicAcls": True})
    assert (await replace(s3, account=None).error("ListObjectsV2", Bucket="bkt")).code == "AccessDenied"


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({}, "MissingSecurityHeader"),
        ({"ACL": "everybody"}, "InvalidArgument"),
        ({"ACL": "private", "GrantRead": 'id="x"'}, "InvalidRequest"),
        ({"GrantRead": "x"}, "InvalidArgument"),
        ({"GrantRead": 'id="x"'}, "InvalidArgument"),
        ({"GrantRead": 'uri="http://x"'}, "InvalidArgument"),
        ({"AccessControlPolicy": {"Grants": []}}, "MalformedACLError"),
        ({"ACL": "private", "AccessControlPolicy": {"Owner": {"ID": "x"}}}, "UnexpectedContent"),
    ],
)
async def test_an_acl_that_is_none(s3: S3, given: dict[str, Any], code: str) -> None:
    await s3.bucket(ObjectOwnership="ObjectWriter")
    assert (await s3.error("PutBucketAcl", Bucket="bkt", **given)).code == code


async def test_an_acl_is_told_only_when_it_is_another_one(s3: S3) -> None:
    await s3.bucket(ObjectOwnership="ObjectWriter")
    await s3("DeletePublicAccessBlock", Bucket="bkt")
    await s3.put("k")
    for acl in ("private", "public-read", "public-read"):
        await s3("PutObjectAcl", Bucket="bkt", Key="k", ACL=acl)
    assert s3.told.events == ["ObjectCreated:Put", "ObjectAcl:Put"]


async def test_what_is_made_with_an_acl_has_it(s3: S3) -> None:
    public = {"ACL": "public-read", "ObjectOwnership": "ObjectWriter"}
    refused = await s3.error("CreateBucket", Bucket="open", **public)
    assert refused.code == "InvalidBucketAclWithBlockPublicAccessError"
    await s3.bucket(ObjectOwnership="ObjectWriter", ACL="log-delivery-write")
    assert [each["Permission"] for each in (await s3("GetBucketAcl", Bucket="bkt"))["Grants"]] == [
        "FULL_CONTROL",
        "WRITE",
        "READ_ACP",
    ]
    asked = {"Bucket": "bkt", "Key": "k", "ACL": "public-read"}
    assert (await s3.error("PutObject", Body=Upload.of(b""), **asked)).code == "AccessDenied"
    await s3("DeletePublicAccessBlock", Bucket="bkt")
    await s3.put("k", ACL="public-read")
    grants = (await s3("GetObjectAcl", Bucket="bkt", Key="k"))["Grants"]
    assert [each["Permission"] for each in grants] == ["FULL_CONTROL", "READ"]
