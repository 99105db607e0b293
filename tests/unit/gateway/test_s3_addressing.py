"""Which bucket and key a host and a path are, and which operation a request is."""

import pytest

from lambent.aws.errors import ApiError
from lambent.aws.models import service_model
from lambent.gateway.s3.addressing import Address, address_of
from lambent.gateway.s3.routes import S3Routes

ROUTES = S3Routes(service_model("s3"))


@pytest.mark.parametrize(
    ("host", "path", "bucket", "key"),
    [
        ("localhost:4566", "/", None, None),
        ("localhost:4566", "/b", "b", None),
        ("localhost:4566", "/b/", "b", None),
        ("127.0.0.1:4566", "/b/k", "b", "k"),
        ("s3.localhost:4566", "/b/k", "b", "k"),
        ("s3.localhost", "/b/k", "b", "k"),
        ("s3.eu-west-1.localhost", "/b/k", "b", "k"),
        ("b.s3.localhost:4566", "/k", "b", "k"),
        ("B.S3.LOCALHOST", "/", "b", None),
        ("b.s3.eu-west-1.localhost:4566", "/k/l", "b", "k/l"),
        ("b.s3.eu-west-1.amazonaws.com", "/k", "b", "k"),
        ("s3.eu-west-1.amazonaws.com", "/b/k", "b", "k"),
        ("b.s3-eu-west-1.amazonaws.com", "/k", "b", "k"),
        ("b.s3.dualstack.eu-west-1.amazonaws.com", "/k", "b", "k"),
        ("my.bucket.s3.localhost", "/k", "my.bucket", "k"),
        ("my.s3.bucket.s3.localhost", "/k", "my.s3.bucket", "k"),
        ("photos.localhost:4566", "/k", "photos", "k"),
    ],
)
def test_buckets_are_named_by_path_or_by_host(host: str, path: str, bucket: str | None, key: str | None) -> None:
    found = address_of(host, path)
    assert (found.bucket, found.key) == (bucket, key)


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/b//a", "/a"),
        ("/b/a//c/", "a//c/"),
        ("/b/a/../c", "a/../c"),
        ("/b/./a", "./a"),
        ("/b/a%2Fc", "a/c"),
        ("/b/a%252Fc", "a%2Fc"),
        ("/b/a+c", "a+c"),
        ("/b/a%20c", "a c"),
        ("/b/%C3%A9", "é"),
        ("/b/a%3Fb=c", "a?b=c"),
    ],
)
def test_a_key_is_decoded_once_and_never_tidied(path: str, key: str) -> None:
    assert address_of("localhost", path).key == key


def test_a_key_has_1024_bytes_at_most() -> None:
    assert address_of("localhost", "/b/" + "a" * 1024).key == "a" * 1024
    with pytest.raises(ApiError) as raised:
        address_of("localhost", "/b/" + "%C3%A9" * 513)
    assert (raised.value.code, raised.value.members["Size"]) == ("KeyTooLongError", 1026)


def test_a_path_that_is_no_utf_8_is_no_uri() -> None:
    with pytest.raises(ApiError, match="Couldn't parse the specified URI"):
        address_of("localhost", "/b/%FF")


SERVICE, BUCKET, OBJECT = Address(None, None, False), Address("b", None, False), Address("b", "k", False)


@pytest.mark.parametrize(
    ("method", "address", "query", "headers", "operation"),
    [
        ("GET", SERVICE, "x-id=ListBuckets", (), "ListBuckets"),
        ("GET", BUCKET, "", (), "ListObjects"),
        ("GET", BUCKET, "list-type=2&prefix=a", (), "ListObjectsV2"),
        ("GET", BUCKET, "versions=", (), "ListObjectVersions"),
        ("GET", BUCKET, "uploads", (), "ListMultipartUploads"),
        ("GET", BUCKET, "acl=", (), "GetBucketAcl"),
        ("GET", BUCKET, "lifecycle", (), "GetBucketLifecycleConfiguration"),
        ("GET", BUCKET, "notification", (), "GetBucketNotificationConfiguration"),
        ("GET", BUCKET, "analytics&id=1", (), "GetBucketAnalyticsConfiguration"),
        ("GET", BUCKET, "analytics", (), "ListBucketAnalyticsConfigurations"),
        ("PUT", BUCKET, "", (), "CreateBucket"),
        ("PUT", BUCKET, "notification", (), "PutBucketNotificationConfiguration"),
        ("POST", BUCKET, "delete&x-id=DeleteObjects", (), "DeleteObjects"),
        ("DELETE", BUCKET, "", (), "DeleteBucket"),
        ("HEAD", BUCKET, "", (), "HeadBucket"),
        ("GET", OBJECT, "x-id=GetObject", (), "GetObject"),
        ("GET", OBJECT, "versionId=1&response-content-type=a", (), "GetObject"),
        ("GET", OBJECT, "uploadId=1", (), "ListParts"),
        ("GET", OBJECT, "attributes", ("x-amz-object-attributes",), "GetObjectAttributes"),
        ("GET", OBJECT, "attributes", (), "GetObjectAttributes"),
        ("PUT", OBJECT, "", (), "PutObject"),
        ("PUT", OBJECT, "", ("x-amz-copy-source",), "CopyObject"),
        ("PUT", OBJECT, "partNumber=1&uploadId=u", (), "UploadPart"),
        ("PUT", OBJECT, "partNumber=1&uploadId=u", ("x-amz-copy-source",), "UploadPartCopy"),
        ("POST", OBJECT, "uploads=", (), "CreateMultipartUpload"),
        ("POST", OBJECT, "uploadId=u", (), "CompleteMultipartUpload"),
        ("DELETE", OBJECT, "uploadId=u", (), "AbortMultipartUpload"),
        ("DELETE", OBJECT, "versionId=1", (), "DeleteObject"),
        ("DELETE", OBJECT, "tagging", (), "DeleteObjectTagging"),
    ],
)
def test_operations_are_told_apart_by_query_and_headers(
    method: str, address: Address, query: str, headers: tuple[str, ...], operation: str
) -> None:
    match = ROUTES.match(method, address, query, dict.fromkeys(headers, "x"))
    assert match.operation.name == operation


@pytest.mark.parametrize(
    ("method", "address", "query", "place"),
    [
        ("DELETE", BUCKET, "acl", "BUCKET"),
        ("DELETE", BUCKET, "versioning", "BUCKET"),
        ("PUT", BUCKET, "versions", "BUCKET"),
        ("DELETE", OBJECT, "acl", "OBJECT"),
        ("POST", OBJECT, "", "OBJECT"),
        ("PUT", OBJECT, "uploadId=u", "OBJECT"),
        ("DELETE", SERVICE, "", "SERVICE"),
        ("PATCH", OBJECT, "", "OBJECT"),
    ],
)
def test_a_sub_resource_that_the_method_does_not_know_never_becomes_the_plain_operation(
    method: str, address: Address, query: str, place: str
) -> None:
    with pytest.raises(ApiError) as raised:
        ROUTES.match(method, address, query, {})
    assert (raised.value.code, raised.value.status) == ("MethodNotAllowed", 405)
    assert raised.value.members == {"Method": method, "ResourceType": place}
