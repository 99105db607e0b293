"""Who gets in, as clients and people who have signed nothing see it: what the wire tells policies; ACLs of objects."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambent.core.clock import SystemClock
from tests.contract.s3.on_a_port import OnAPort, on_a_port

OTHER = "222222222222"
FORM = b'--x\r\nContent-Disposition: form-data; name="key"\r\n\r\nk2\r\n--x\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\ncontent\r\n--x--\r\n'  # fmt: skip # noqa: E501


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OnAPort]:
    with on_a_port(tmp_path_factory.mktemp("s3"), SystemClock()) as found:
        yield found


@pytest.fixture
def boto(s3: OnAPort) -> Iterator[Any]:
    """The owner, with a bucket `wire` that nothing blocks and an object `k` in it."""
    api = s3.client()
    api.create_bucket(Bucket="wire", ObjectOwnership="ObjectWriter")
    api.delete_public_access_block(Bucket="wire")
    api.put_object(Bucket="wire", Key="k", Body=b"content")
    yield api
    for each in api.list_objects_v2(Bucket="wire").get("Contents", ()):
        api.delete_object(Bucket="wire", Key=each["Key"])
    api.delete_bucket(Bucket="wire")


def let(boto: Any, action: str, account: str = "*", **condition: Any) -> None:
    resources = ["arn:aws:s3:::wire", "arn:aws:s3:::wire/*"]
    statement = {"Effect": "Allow", "Principal": {"AWS": account}, "Action": action, "Resource": resources}
    if condition:
        statement["Condition"] = condition
    boto.put_bucket_policy(Bucket="wire", Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))


def test_a_page_that_a_policy_names_shows_what_others_do_not(s3: OnAPort, boto: Any) -> None:
    let(boto, "s3:GetObject", StringLike={"aws:Referer": "https://a.test/*"})
    assert s3.raw("GET", "/wire/k", headers={"Referer": "https://a.test/x"}, signed=False).body == b"content"
    refused = s3.raw("GET", "/wire/k", headers={"Referer": "https://b.test/"}, signed=False)
    assert (refused.status, refused.code) == (403, "AccessDenied")
    assert s3.raw("GET", "/wire/k", signed=False).status == 403


def test_a_policy_names_addresses_and_programs(s3: OnAPort, boto: Any) -> None:
    let(boto, "s3:GetObject", IpAddress={"aws:SourceIp": "127.0.0.0/8"}, StringLike={"aws:UserAgent": "curl/*"})
    assert s3.raw("GET", "/wire/k", headers={"User-Agent": "curl/8"}, signed=False).status == 200
    assert s3.raw("GET", "/wire/k", headers={"User-Agent": "other"}, signed=False).status == 403
    let(boto, "s3:GetObject", IpAddress={"aws:SourceIp": "10.0.0.0/8"})
    assert s3.raw("GET", "/wire/k", signed=False).status == 403


def test_a_list_of_nobody_is_of_the_prefix_that_is_open(s3: OnAPort, boto: Any) -> None:
    let(boto, "s3:ListBucket", StringEquals={"s3:prefix": "k"})
    assert s3.raw("GET", "/wire?list-type=2&prefix=k", signed=False).between("Key") == "k"
    assert s3.raw("GET", "/wire?list-type=2", signed=False).status == 403


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_a_policy_knows_how_a_request_was_signed(s3: OnAPort, boto: Any, version: str) -> None:
    let(boto, "s3:GetObject", OTHER, StringEquals={"s3:authType": "REST-QUERY-STRING"})
    other = s3.client(OTHER, signature_version=version)
    url = other.generate_presigned_url("get_object", Params={"Bucket": "wire", "Key": "k"})
    assert s3.raw("GET", url.removeprefix(s3.url), signed=False).body == b"content"
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.client(OTHER).get_object(Bucket="wire", Key="k")
    let(boto, "s3:GetObject", OTHER, StringEquals={"s3:signatureversion": "AWS4-HMAC-SHA256"})
    assert s3.raw("GET", url.removeprefix(s3.url), signed=False).status == (200 if version == "s3v4" else 403)
    let(boto, "s3:GetObject", OTHER, NumericGreaterThan={"s3:signatureAge": "600000"})
    assert s3.raw("GET", url.removeprefix(s3.url), signed=False).status == 403


def test_what_is_open_to_all_is_one_operation_and_not_its_neighbours(s3: OnAPort, boto: Any) -> None:
    let(boto, "s3:GetObject")
    assert s3.raw("HEAD", "/wire/k", signed=False).status == 200
    virtual = s3.raw("GET", "/k", headers={"Host": f"wire.s3.localhost:{s3.port}"}, signed=False)
    assert virtual.body == b"content"
    for method, target in (
        *(("PUT", "/wire/k"), ("DELETE", "/wire/k"), ("GET", "/wire"), ("PUT", "/wire"), ("DELETE", "/wire")),
        *(("GET", "/wire?policy"), ("GET", "/wire/k?tagging"), ("GET", "/wire/k?acl"), ("GET", "/wire?versions")),
        *(("POST", "/wire/k?uploads"), ("GET", "/wire/none"), ("PUT", "/wire?acl")),
    ):
        reply = s3.raw(method, target, b"", signed=False)
        assert (reply.status, reply.code) == (403, "AccessDenied"), (method, target)
    overridden = s3.raw("GET", "/wire/k?response-content-type=a/b", signed=False)
    assert (overridden.status, overridden.code) == (400, "InvalidRequest")


def test_a_form_of_nobody_reaches_a_bucket_that_takes_it(s3: OnAPort, boto: Any) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    assert s3.raw("POST", "/wire", FORM, headers, signed=False).status == 403
    let(boto, "s3:PutObject")
    assert s3.raw("POST", "/wire", FORM, headers, signed=False).status == 204
    assert boto.get_object(Bucket="wire", Key="k2")["Body"].read() == b"content"


def test_keys_are_deleted_one_by_one_as_the_policy_lets(s3: OnAPort, boto: Any) -> None:
    boto.put_object(Bucket="wire", Key="tmp/a", Body=b"")
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": OTHER},
        "Action": "s3:DeleteObject",
        "Resource": "arn:aws:s3:::wire/tmp/*",
    }
    boto.put_bucket_policy(Bucket="wire", Policy=json.dumps({"Statement": [statement]}))
    done = s3.client(OTHER).delete_objects(Bucket="wire", Delete={"Objects": [{"Key": "k"}, {"Key": "tmp/a"}]})
    assert [each["Key"] for each in done["Deleted"]] == ["tmp/a"]
    assert done["Errors"] == [{"Key": "k", "Code": "AccessDenied", "Message": "Access Denied"}]


def test_an_object_that_is_public_read_is_read_by_anybody(s3: OnAPort, boto: Any) -> None:
    assert s3.raw("GET", "/wire/k", signed=False).status == 403
    boto.put_object_acl(Bucket="wire", Key="k", ACL="public-read")
    assert s3.raw("GET", "/wire/k", signed=False).body == b"content"
    id = s3.client(OTHER).list_buckets()["Owner"]["ID"]
    boto.put_object_acl(Bucket="wire", Key="k", GrantRead=f'id="{id}"')
    assert s3.raw("GET", "/wire/k", signed=False).status == 403
    assert s3.client(OTHER).get_object(Bucket="wire", Key="k")["Body"].read() == b"content"


def test_the_requester_says_that_he_pays(s3: OnAPort, boto: Any) -> None:
    let(boto, "s3:*", OTHER)
    boto.put_bucket_request_payment(Bucket="wire", RequestPaymentConfiguration={"Payer": "Requester"})
    other = s3.client(OTHER)
    with pytest.raises(ClientError, match="AccessDenied"):
        other.get_object(Bucket="wire", Key="k")
    found = other.get_object(Bucket="wire", Key="k", RequestPayer="requester")
    assert (found["Body"].read(), found["RequestCharged"]) == (b"content", "requester")
    assert other.get_object_tagging(Bucket="wire", Key="k", RequestPayer="requester")["TagSet"] == []
