"""aws-chunked bodies: by length, with signatures and trailers of AWS's own examples, in pieces of any size."""

from collections.abc import AsyncIterator

import pytest

from lambent.aws.errors import ApiError
from lambent.gateway.s3.chunks import ChunkSignatures, decoded
from lambent.gateway.sigv4 import signing_key

SCOPE = "20130524/us-east-1/s3/aws4_request"
KEY = signing_key("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "20130524", "us-east-1", "s3")
# "Authenticating Requests: Transfer Payload in Multiple Chunks" of the S3 API reference.
SEED = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
SIGNATURES = (
    "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
    "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
    "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
)
# The same with a trailing checksum.
TRAILER_SEED = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"
TRAILER_SIGNATURES = (
    "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
    "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
    "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
)
TRAILER_SIGNATURE = "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435"


def signer(seed: str = SEED) -> ChunkSignatures:
    return ChunkSignatures(KEY, "20130524T000000Z", SCOPE, seed)


def signed_body(signatures: tuple[str, str, str], end: bytes) -> bytes:
    parts = [b"a" * 65536, b"a" * 1024, b""]
    frames = [
        b"%x;chunk-signature=%b\r\n%b\r\n" % (len(part), signature.encode(), part)
        for part, signature in zip(parts, signatures, strict=True)
    ]
    return b"".join(frames).removesuffix(b"\r\n") + end


async def pieces(body: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


async def content(
    body: bytes, length: int, signatures: ChunkSignatures | None = None, size: int = 7
) -> tuple[bytes, dict[str, str]]:
    trailers: dict[str, str] = {}
    found = [chunk async for chunk in decoded(pieces(body, size), length, trailers, signatures)]
    return b"".join(found), trailers


@pytest.mark.parametrize("size", [1000, 65536, 200_000])
async def test_signatures_of_chunks_are_those_of_the_documentation(size: int) -> None:
    found, _ = await content(signed_body(SIGNATURES, b"\r\n"), 66560, signer(), size)
    assert found == b"a" * 66560


async def test_the_signature_of_trailers_is_that_of_the_documentation() -> None:
    end = b"x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:%b\r\n\r\n" % TRAILER_SIGNATURE.encode()
    found, trailers = await content(signed_body(TRAILER_SIGNATURES, end), 66560, signer(TRAILER_SEED), 4096)
    assert (len(found), trailers) == (66560, {"x-amz-checksum-crc32c": "sOO8/Q=="})


@pytest.mark.parametrize("wrong", [0, 1, 2])
async def test_a_chunk_with_a_wrong_signature_ends_the_upload(wrong: int) -> None:
    signatures = tuple("0" * 64 if at == wrong else text for at, text in enumerate(SIGNATURES))
    with pytest.raises(ApiError, match="SignatureDoesNotMatch"):
        await content(signed_body(signatures, b"\r\n"), 66560, signer(), 65536)  # type: ignore[arg-type]


async def test_a_trailer_that_nobody_has_signed_ends_an_upload_with_signatures() -> None:
    with pytest.raises(ApiError, match="SignatureDoesNotMatch"):
        await content(
            signed_body(TRAILER_SIGNATURES, b"x-amz-checksum-crc32c:sOO8/Q==\r\n\r\n"),
            66560,
            signer(TRAILER_SEED),
            4096,
        )


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.parametrize(
    "end", [b"0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n", b"0\r\nx-amz-checksum-crc32:AAAAAA==\r\n"]
)
async def test_data_is_taken_by_its_length_and_trailers_come_last(size: int, end: bytes) -> None:
    data = b"a;b\r\n0\r\n\r\nc"
    found, trailers = await content(b"%X\r\n%b\r\n%b" % (len(data), data, end), len(data), size=size)
    assert (found, trailers) == (data, {"x-amz-checksum-crc32": "AAAAAA=="})


@pytest.mark.parametrize(
    ("body", "length"),
    [
        (b"", 4),
        (b"4\r\nbo", 4),
        (b"4\r\nbody\r\n", 4),
        (b"4\r\nbody\r\n0\r\n\r\n", 5),
        (b"4\r\nbody\r\n0\r\n\r\n", 3),
        (b"4\r\nbodyX\r\n0\r\n\r\n", 4),
        (b"-4\r\nbody\r\n0\r\n\r\n", 4),
        (b"x\r\nbody\r\n0\r\n\r\n", 4),
        (b"4" * 20_000, 4),
    ],
)
async def test_a_body_that_stops_early_or_is_not_chunked_is_incomplete(body: bytes, length: int) -> None:
    with pytest.raises(ApiError, match="IncompleteBody"):
        await content(body, length)


async def test_an_empty_body_has_one_chunk() -> None:
    assert await content(b"0\r\n\r\n", 0) == (b"", {})


async def test_chunks_of_one_byte_are_gathered_and_cost_no_more_than_their_bytes() -> None:
    number = 100_000
    body = b"1\r\nx\r\n" * number + b"0\r\n\r\n"
    found = [len(chunk) async for chunk in decoded(pieces(body, 262_144), number, {})]
    assert found == [65_536, number - 65_536]
