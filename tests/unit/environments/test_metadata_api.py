import pytest

from lambent.environments.metadata_api import PATH, MetadataApi, zone_prefix
from lambent.environments.runtime_http import HttpRequest


def ask(method: bytes = b"GET", authorization: str | None = "Bearer secret") -> tuple[bytes, bytes]:
    headers = {} if authorization is None else {b"authorization": authorization.encode()}
    reply = MetadataApi("secret", "us-east-1").handle(HttpRequest(method, PATH, headers, b"", {}, False))
    head, _, body = reply.partition(b"\r\n\r\n")
    return head, body


def test_the_zone_is_told_and_may_be_kept() -> None:
    head, body = ask()
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nCache-Control: private, max-age=43200, immutable\r\n" in head
    assert body == b'{"AvailabilityZoneID":"use1-az1"}'


@pytest.mark.parametrize("authorization", [None, "", "secret", "Bearer other", "Bearer "])
def test_who_does_not_show_the_token_is_refused(authorization: str | None) -> None:
    assert ask(authorization=authorization)[0].startswith(b"HTTP/1.1 401 ")


def test_an_environment_without_a_token_tells_nobody() -> None:
    request = HttpRequest(b"GET", PATH, {b"authorization": b"Bearer "}, b"", {}, False)
    assert MetadataApi("", "us-east-1").handle(request).startswith(b"HTTP/1.1 401 ")


def test_it_is_read_and_not_written() -> None:
    assert ask(b"PUT")[0].startswith(b"HTTP/1.1 405 ")


@pytest.mark.parametrize(
    ("region", "prefix"),
    [
        ("us-west-2", "usw2"),
        ("ap-southeast-2", "apse2"),
        ("ap-northeast-1", "apne1"),
        ("eu-central-1", "euc1"),
        ("eu-north-1", "eun1"),
        ("us-gov-west-1", "usgw1"),
        ("ca-central-1", "cac1"),
    ],
)
def test_zones_are_named_after_their_region(region: str, prefix: str) -> None:
    assert zone_prefix(region) == prefix
