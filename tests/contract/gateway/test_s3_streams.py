"""Bodies of S3 between the socket and a handler: read as they come, checked at their end, written from files."""

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from lambent.aws.streams import Download, Upload
from lambent.gateway.app import Gateway
from lambent.gateway.caller import InProcessCaller
from lambent.gateway.elsewhere import Elsewhere
from lambent.testing.served import exchange, served
from tests.contract.gateway.s3_kit import OWNER, SmallS3

AUTHORIZATION = (
    b"Authorization: AWS4-HMAC-SHA256 Credential=123456789012/20261120/us-east-1/s3/aws4_request, "
    b"SignedHeaders=host, Signature=00\r\n"
)


@pytest.fixture
def s3(tmp_path: Path) -> SmallS3:
    found = SmallS3(tmp_path)
    found.bucket("photos")
    return found


@pytest.fixture
async def port(s3: SmallS3) -> AsyncIterator[int]:
    async with served(Gateway({"s3": s3.service()}).public()) as port:
        yield port


def client(port: int, **config: Any) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="us-east-1",
        aws_access_key_id=OWNER,
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}, **config),
    )


def put(path: str, body: bytes, *headers: str, announced: int | None = None) -> bytes:
    lines = "".join(f"{line}\r\n" for line in headers).encode()
    length = len(body) if announced is None else announced
    head = b"PUT %b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" % path.encode()
    return head + AUTHORIZATION + lines + b"Content-Length: %d\r\n\r\n" % length + body


async def test_an_object_goes_to_a_file_in_chunks_and_comes_back_from_it(port: int, s3: SmallS3) -> None:
    content = bytes(range(256)) * 20_000
    api = client(port)
    reply = await asyncio.to_thread(api.put_object, Bucket="photos", Key="a b/c+d", Body=content)
    assert reply["ETag"] == f'"{hashlib.md5(content).hexdigest()}"'
    assert reply["ChecksumCRC32"]
    assert s3.stored[0]["length"] == s3.stored[0]["size"] == len(content)
    assert s3.stored[0]["largest"] <= 262_144
    got = await asyncio.to_thread(api.get_object, Bucket="photos", Key="a b/c+d")
    assert await asyncio.to_thread(got["Body"].read) == content
    assert got["ContentType"] == "text/plain"


async def test_every_reply_has_both_ids_and_names_its_server(port: int) -> None:
    reply = await asyncio.to_thread(client(port).list_buckets)
    headers = reply["ResponseMetadata"]["HTTPHeaders"]
    assert len(headers["x-amz-request-id"]) == 16
    assert len(headers["x-amz-id-2"]) == 76
    assert headers["server"] == "AmazonS3"


@pytest.mark.parametrize("body", [io.BytesIO(b"file"), io.BytesIO(b"")])
async def test_a_client_that_waits_to_be_told_to_go_on_is_told(port: int, s3: SmallS3, body: io.BytesIO) -> None:
    await asyncio.to_thread(client(port).put_object, Bucket="photos", Key="k", Body=body)
    assert s3.path("k").read_bytes() == body.getvalue()


async def test_who_waits_to_be_told_to_go_on_is_told_the_error_instead(port: int) -> None:
    request = put("/missing/k", b"", "Expect: 100-continue", announced=5)
    reply = await exchange(port, request)
    assert reply.startswith(b"HTTP/1.1 404")
    assert b"<Code>NoSuchBucket</Code>" in reply


async def test_a_body_that_is_not_what_was_signed_leaves_nothing(port: int, s3: SmallS3) -> None:
    wrong = "0" * 64
    reply = await exchange(port, put("/photos/k", b"body", f"x-amz-content-sha256: {wrong}"))
    assert reply.startswith(b"HTTP/1.1 400")
    assert b"<Code>XAmzContentSHA256Mismatch</Code>" in reply
    assert f"<ClientComputedContentSHA256>{wrong}</ClientComputedContentSHA256>".encode() in reply
    assert not s3.path("k").exists()


@pytest.mark.parametrize(
    ("header", "code", "text"),
    [
        ("Content-MD5: eA==", "InvalidDigest", "The Content-MD5 you specified was invalid."),
        (
            "Content-MD5: 1B2M2Y8AsgTpgAmY7PhCfg==",
            "BadDigest",
            "<ExpectedDigest>d41d8cd98f00b204e9800998ecf8427e</ExpectedDigest>",
        ),
        ("x-amz-checksum-crc32: AAAAAA==", "BadDigest", "The CRC32 you specified did not match the calculated checks"),
        ("x-amz-checksum-crc32c: AAAA", "InvalidRequest", "Value for x-amz-checksum-crc32c header is invalid."),
        (
            "x-amz-checksum-sha1: AAAA\r\nx-amz-checksum-crc32: AAAAAA==",
            "InvalidRequest",
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
        ),
    ],
)
async def test_a_wrong_checksum_is_refused_in_words_of_aws(
    port: int, s3: SmallS3, header: str, code: str, text: str
) -> None:
    reply = await exchange(port, put("/photos/k", b"body", header))
    assert reply.startswith(b"HTTP/1.1 400")
    assert f"<Code>{code}</Code>".encode() in reply
    assert text.encode() in reply
    assert not s3.path("k").exists()


@pytest.mark.parametrize(
    ("algorithm", "value"),
    [
        ("CRC32", "y/Q5Jg=="),
        ("CRC32C", "4waSgw=="),
        ("CRC64NVME", "rosUhgp5mIg="),
        ("SHA1", "98O8HYCOBHMq32eZZczDTKeuNEE="),
        ("SHA256", "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU="),
    ],
)
async def test_checksums_of_all_algorithms_are_verified_and_known(port: int, algorithm: str, value: str) -> None:
    call = client(port).put_object
    given: dict[str, Any] = {f"Checksum{algorithm}": value}
    reply = await asyncio.to_thread(call, Bucket="photos", Key="k", Body=b"123456789", **given)
    assert reply[f"Checksum{algorithm}"] == value
    with pytest.raises(ClientError, match=rf"The {algorithm} you specified did not match the calculated checksum\."):
        await asyncio.to_thread(call, Bucket="photos", Key="k", Body=b"12345678", **given)


async def test_more_than_5_gib_are_refused_before_they_are_sent(port: int) -> None:
    reply = await exchange(port, put("/photos/k", b"", "Expect: 100-continue", announced=5 * 1024**3 + 1))
    assert reply.startswith(b"HTTP/1.1 400")
    assert b"<Code>EntityTooLarge</Code>" in reply
    assert b"<ProposedSize>5368709121</ProposedSize><MaxSizeAllowed>5368709120</MaxSizeAllowed>" in reply


async def test_a_body_without_a_length_is_refused(port: int) -> None:
    request = b"PUT /photos/k HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n"
    reply = await exchange(port, request + AUTHORIZATION + b"\r\n4\r\nbody\r\n0\r\n\r\n")
    assert reply.startswith(b"HTTP/1.1 411")
    assert b"<Code>MissingContentLength</Code>" in reply


async def test_a_client_that_goes_away_in_the_middle_leaves_nothing(port: int, s3: SmallS3) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(put("/photos/k", b"half", announced=1000))
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert await asyncio.to_thread(client(port).list_buckets)
    assert not s3.path("k").exists()


async def test_callers_of_this_process_give_bytes_and_read_a_download(s3: SmallS3) -> None:
    caller = InProcessCaller(Elsewhere())
    caller.apis = Gateway({"s3": s3.service()}).apis
    who: Any = {"account": OWNER, "region": "us-east-1", "principal": "p"}
    parameters: dict[str, Any] = {"Bucket": "photos", "Key": "k", "Body": b"bytes"}
    await caller.call("s3", "PutObject", parameters, **who)
    parameters["Body"] = Upload.of(b"more")
    await caller.call("s3", "PutObject", parameters, **who)
    reply = await caller.call("s3", "GetObject", {"Bucket": "photos", "Key": "k"}, **who)
    assert isinstance(reply["Body"], Download)
    assert await reply["Body"].read() == b"more"


async def test_an_error_of_head_has_no_body(port: int) -> None:
    with pytest.raises(ClientError) as raised:
        await asyncio.to_thread(client(port).head_object, Bucket="photos", Key="none")
    assert raised.value.response["Error"] == {"Code": "404", "Message": "Not Found"}
