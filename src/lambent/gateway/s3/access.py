"""What is decided of a request before its handler: whose bucket, in which region, unsigned, from a web page. Pure.

Whether a signer may do what is asked is not asked here; as everywhere in Lambent, who has a key may use its account.
"""

from collections.abc import Mapping
from typing import Final

from lambent.aws.buckets import BucketFacts
from lambent.aws.errors import ApiError
from lambent.gateway.hosts import is_foreign
from lambent.gateway.http import HttpRequest
from lambent.gateway.s3.addressing import Address

REGION: Final = "x-amz-bucket-region"
EVERYWHERE: Final = frozenset({"CreateBucket", "ListBuckets", "GetBucketLocation"})
"""Operations that any region answers for any bucket."""
_ACCOUNT_DIGITS: Final = 12


def access_denied(message: str = "Access Denied") -> ApiError:
    return ApiError("AccessDenied", message, status=403)


def check_owner(facts: BucketFacts | None, headers: Mapping[str, str]) -> None:
    """Raises `ApiError`: InvalidBucketOwnerAWSAccountID, AccessDenied."""
    expected = headers.get("x-amz-expected-bucket-owner")
    if expected is None:
        return
    if not (len(expected) == _ACCOUNT_DIGITS and expected.isascii() and expected.isdigit()):
        text = f"The value of the expected bucket owner parameter must be an AWS Account ID... [{expected}]"
        raise ApiError("InvalidBucketOwnerAWSAccountID", text, status=400)
    if facts is not None and facts.account != expected:
        raise access_denied()


def check_region(
    facts: BucketFacts | None, operation: str, address: Address, signed_for: str | None, host: str
) -> None:
    """`signed_for`: None for who has signed without a region. Raises `ApiError` with the region to go to."""
    if facts is None or signed_for in (None, facts.region) or operation in EVERYWHERE:
        return
    headers = {REGION: facts.region}
    if address.by_host:
        raise ApiError(
            "AuthorizationHeaderMalformed",
            f"The authorization header is malformed; the region '{signed_for}' is wrong; expecting '{facts.region}'",
            status=400,
            members={"Region": facts.region},
            headers=headers,
        )
    raise ApiError(
        "PermanentRedirect",
        "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all "
        "future requests to this endpoint.",
        status=301,
        members={"Endpoint": host, "Bucket": address.bucket},
        headers=headers,
    )


def check_page(head: HttpRequest, *, trusted: bool) -> None:
    """A page of another site changes nothing with a signature that nobody can verify.

    `trusted`: the secret was known here, a CORS rule allows it, or the bucket is open to all. Raises `ApiError`.
    """
    if trusted or head.method in ("GET", "HEAD"):
        return
    headers = head.headers
    if is_foreign(headers.get("host"), headers.get("origin"), headers.get("sec-fetch-site")):
        raise access_denied("Requests from web pages are refused, unless a CORS rule of the bucket allows them.")
