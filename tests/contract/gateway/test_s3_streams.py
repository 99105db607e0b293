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

from lambent.aws.checksums import combined, digest_of
from lambent.aws.service import Service
from lambent.aws.streams import Download, FileRange, Upload, read_range
from lambent.gateway.app import Gateway
from lambent.gateway.body import READER, BodyReader, Budget
from lambent.gateway.caller import InProcessCaller
from lambent.gateway.elsewhere import Elsewhere
from lambent.gateway.server import HttpServer
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


def get(path: str) -> bytes:
    return b"GET %b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%b\r\n" % (path.encode(), AUTHORIZATION)


async def test_an_object_goes_to_a_file_in_chunks_and_comes_back_from_it(port: int, s3: SmallS3) -> None:
    content = bytes(range(256)) * 20_000
    api = client(port)
    reply = await asyncio.to_thread(api.put_object, Bucket="photos", Key="a b/c+d", Body=content)
    assert reply["ETag"] == f'"{hashlib.md5(content).hexdigest()}"'
    assert reply["ChecksumCRC32"]
    assert s3.stored[0]["length"] == s3.stored[0]["size"] == len(content)
    assert s3.stored[0]["largest"] <= 524_288
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


async def test_a_streamed_body_may_take_longer_than_any_other(s3: SmallS3) -> None:
    server = HttpServer()
    try:
        listener = await server.listen(Gateway({"s3": s3.service()}).public(), "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(put("/photos/k", b"a", announced=2))
        async with asyncio.timeout(10):
            await s3.reading.wait()
            listener.check(asyncio.get_running_loop().time() + 3600)
            writer.write(b"b")
            reply = await reader.read()
        writer.close()
    finally:
        await server.close(1.0)
    assert reply.startswith(b"HTTP/1.1 200")
    assert s3.path("k").read_bytes() == b"ab"


async def test_a_slow_body_is_handed_on_before_it_is_worth_a_thread() -> None:
    """Or it would seem to stand still."""
    handed: list[int] = []
    came = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def noted() -> Any:
            message = await receive()
            handed.append(len(message["body"]))
            came.set()
            return message

        body = scope["state"][READER] = BodyReader(noted, {"content-length": "1000000"}, Budget())
        size = sum([len(piece) async for piece in body.pieces()])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"7")]})
        await send({"type": "http.response.body", "body": b"%d" % size})

    server = HttpServer()
    try:
        listener = await server.listen(app, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(put("/photos/k", b"", announced=1_000_000))
        async with asyncio.timeout(10):
            for _ in range(2):
                writer.write(b"a" * 100_000)
                while not came.is_set():
                    listener.check(asyncio.get_running_loop().time())
                    await asyncio.sleep(0)
                came.clear()
            writer.write(b"b" * 800_000)
            reply = await reader.read()
        writer.close()
    finally:
        await server.close(1.0)
    assert reply.endswith(b"1000000")
    assert sum(handed) == 1_000_000


@pytest.mark.parametrize("length", [None, 3_300_000])
async def test_digests_of_a_long_body_are_made_while_it_is_read(length: int | None) -> None:
    content = bytes(range(250)) * 13_200

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(content), 200_000):
            yield content[start : start + 200_000]

    upload = Upload(pieces(), length_bytes=length, checksum_algorithm="SHA256")
    assert b"".join([chunk async for chunk in upload]) == content
    assert upload.digest("MD5") == hashlib.md5(content).digest()
    assert upload.digest("SHA256") == hashlib.sha256(content).digest()


async def test_a_body_that_stands_still_ends_its_upload(tmp_path: Path) -> None:
    async def receive() -> dict[str, Any]:
        return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]

    body = BodyReader(receive, {"content-length": "5"}, Budget())
    with pytest.raises(TimeoutError):
        async for _ in body.pieces(quiet_s=0.01):
            pass
    assert not body.streaming


async def test_nobody_reads_ahead_of_the_one_who_writes() -> None:
    asked = 0

    async def receive() -> dict[str, Any]:
        nonlocal asked
        asked += 1
        return {"type": "http.request", "body": b"x" * 600_000, "more_body": asked < 5}

    body = BodyReader(receive, {"content-length": "3000000"}, Budget())
    pieces = body.pieces()
    assert len(await anext(pieces)) == 524_288
    assert asked == 1
    rest = [len(piece) async for piece in pieces]
    assert sum(rest) == 3_000_000 - 524_288
    assert max(rest) == 524_288
    assert body.held_bytes == 0


async def test_a_range_of_a_file_that_is_deleted_meanwhile_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "object"
    path.write_bytes(bytes(range(256)) * 4096)
    source = FileRange.opened(path, 1000, 600_000)
    path.unlink()
    found = b"".join([chunk async for chunk in read_range(source)])
    assert found == (bytes(range(256)) * 4096)[1000:601_000]


def test_the_checksum_of_a_whole_follows_from_those_of_its_parts() -> None:
    parts = [b"123", b"", b"456789"]
    for algorithm in ("CRC32", "CRC32C", "CRC64NVME"):
        known = [(digest_of(algorithm, part), len(part)) for part in parts]
        assert combined(algorithm, known) == digest_of(algorithm, b"123456789")


async def test_the_reply_of_a_bug_is_an_internal_error_of_s3(s3: SmallS3, caplog: pytest.LogCaptureFixture) -> None:
    async def broken(*_: object) -> dict[str, Any]:
        raise ZeroDivisionError

    service = Service("s3", {"ListBuckets": broken})
    async with served(Gateway({"s3": service}).public()) as port:
        with pytest.raises(ClientError, match=r"\(InternalError\)") as raised:
            await asyncio.to_thread(client(port).list_buckets)
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert len(raised.value.response["ResponseMetadata"]["HTTPHeaders"]["x-amz-id-2"]) == 76
    assert "ZeroDivisionError" in caplog.text


async def test_documents_have_the_roots_and_the_order_of_aws(port: int) -> None:
    buckets = await exchange(port, get("/"))
    assert (
        b'<?xml version="1.0" encoding="UTF-8"?>\n<ListAllMyBucketsResult xmlns="http://s3.amazonaws.com/doc/2006-'
        in (buckets)
    )
    assert buckets.index(b"<Owner>") < buckets.index(b"<Buckets>")
    objects = await exchange(port, get("/photos?list-type=2"))
    assert objects.index(b"<Name>photos</Name><Prefix/>") < objects.index(b"<Contents><Key>odd&#1;key</Key>")
    location = await exchange(port, get("/photos?location"))
    assert location.endswith(b'/2006-03-01/">eu-west-3</LocationConstraint>')
    tagged = await exchange(port, put("/photos?tagging", b"<Tagging><TagSet/></Tagging>"))
    assert tagged.startswith(b"HTTP/1.1 204")
    assert b"content-length" not in tagged.lower()
    assert b"content-type" not in tagged.lower()
    created = await exchange(port, put("/photos", b""))
    assert b"content-length: 0" in created.lower()
    assert b"content-type" not in created.lower()


@pytest.mark.parametrize(
    "body", [b"<Tagging>", b"no xml", b"<Tagging><TagSet><Tag><Key>k</Key></Tag></TagSet></Tagging>"]
)
async def test_xml_that_is_not_its_schema_is_malformed(port: int, body: bytes) -> None:
    reply = await exchange(port, put("/photos?tagging", body))
    assert reply.startswith(b"HTTP/1.1 400")
    assert b"<Error><Code>MalformedXML</Code><Message>The XML you provided was not well-formed or did not" in reply


async def test_a_number_in_a_query_that_is_none_is_an_invalid_argument(port: int) -> None:
    reply = await exchange(port, get("/photos?list-type=2&max-keys=many"))
    assert b"<Code>InvalidArgument</Code><Message>Provided max-keys not an integer or within integer range" in reply
    assert b"<ArgumentName>max-keys</ArgumentName><ArgumentValue>many</ArgumentValue><RequestId>" in reply


async def test_metadata_beyond_ascii_goes_and_comes_in_words_of_mail(port: int, s3: SmallS3) -> None:
    header = "x-amz-meta-Word: =?UTF-8?B?aMO2bGxl?="
    assert (await exchange(port, put("/photos/k", b"x", header))).startswith(b"HTTP/1.1 200")
    assert s3.seen[0][2]["Metadata"] == {"word": "h\u00f6lle"}
    reply = await exchange(port, get("/photos/k").replace(b"GET", b"HEAD"))
    assert b"x-amz-meta-word: =?utf-8?" in reply
    assert b"content-length: 1\r\n" in reply


async def test_an_unsigned_trailer_is_verified_and_its_framing_is_not_stored(port: int, s3: SmallS3) -> None:
    headers = (
        "x-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "x-amz-decoded-content-length: 9",
        "x-amz-trailer: x-amz-checksum-crc32",
        "Content-Encoding: aws-chunked,gzip",
    )
    for checksum, status in ((b"y/Q5Jg==", b"200"), (b"AAAAAA==", b"400")):
        body = b"9\r\n123456789\r\n0\r\nx-amz-checksum-crc32:%b\r\n\r\n" % checksum
        reply = await exchange(port, put("/photos/k", body, *headers))
        assert reply.startswith(b"HTTP/1.1 " + status)
    assert s3.path("k").read_bytes() == b"123456789"
    assert (s3.seen[0][2]["ContentEncoding"], s3.seen[0][2]["ContentLength"]) == ("gzip", 9)
    lacking = await exchange(port, put("/photos/k", b"0\r\n\r\n", headers[0]))
    assert lacking.startswith(b"HTTP/1.1 411")


async def test_a_document_with_a_wrong_digest_reaches_no_handler(port: int, s3: SmallS3) -> None:
    body = b"<Delete><Object><Key>k</Key></Object></Delete>"
    reply = await exchange(port, b"POST" + put("/photos?delete", body, "Content-MD5: 1B2M2Y8AsgTpgAmY7PhCfg==")[3:])
    assert b"<Code>BadDigest</Code>" in reply
    assert s3.seen == []


async def test_the_body_of_a_get_is_ignored(port: int, s3: SmallS3) -> None:
    s3.path("k").write_bytes(b"content")
    reply = await exchange(port, b"GET" + put("/photos/k", b"<what>")[3:])
    assert reply.endswith(b"content")


async def test_s3_control_is_another_service(port: int, s3: SmallS3) -> None:
    path = "/v20180820/configuration/publicAccessBlock"
    reply = await exchange(port, put(path, b"", f"x-amz-account-id: {OWNER}"))
    assert reply.startswith(b"HTTP/1.1 501")
    assert s3.seen == []


@pytest.mark.parametrize("host", ["photos.s3.localhost", "photos.s3.us-east-1.localhost", "photos.localhost"])
async def test_a_bucket_is_reached_by_its_host_name(port: int, s3: SmallS3, host: str) -> None:
    request = put("/a//b/../c", b"x").replace(b"Host: localhost", b"Host: %b:4566" % host.encode())
    assert (await exchange(port, request)).startswith(b"HTTP/1.1 200")
    assert (s3.seen[0][2]["Bucket"], s3.seen[0][2]["Key"]) == ("photos", "a//b/../c")
