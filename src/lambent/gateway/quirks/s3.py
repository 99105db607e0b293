"""S3: where its wire is not what its model says, and the words with which it refuses what it cannot read."""

import re
from email.errors import HeaderParseError
from email.header import Header, decode_header, make_header
from typing import Final

from lambent.aws.errors import ApiError
from lambent.aws.validation import Failure
from lambent.gateway.protocols.rest_xml import Habits

MALFORMED_XML: Final = "The XML you provided was not well-formed or did not validate against our published schema"
ROOTS: Final = {
    "ListBuckets": "ListAllMyBucketsResult",
    "ListDirectoryBuckets": "ListAllMyDirectoryBucketsResult",
    "ListObjects": "ListBucketResult",
    "ListObjectsV2": "ListBucketResult",
    "ListObjectVersions": "ListVersionsResult",
    "ListMultipartUploads": "ListMultipartUploadsResult",
    "ListParts": "ListPartsResult",
    "ListObjectAnnotations": "ListObjectAnnotationsResult",
    "ListBucketAnalyticsConfigurations": "ListBucketAnalyticsConfigurationResult",
    "ListBucketIntelligentTieringConfigurations": "ListBucketIntelligentTieringConfigurationsOutput",
    "ListBucketInventoryConfigurations": "ListInventoryConfigurationsResult",
    "ListBucketMetricsConfigurations": "ListMetricsConfigurationsResult",
    "CreateMultipartUpload": "InitiateMultipartUploadResult",
    "CompleteMultipartUpload": "CompleteMultipartUploadResult",
    "UploadPartCopy": "CopyPartResult",
    "DeleteObjects": "DeleteResult",
    "CreateSession": "CreateSessionResult",
    "GetObjectAttributes": "GetObjectAttributesResponse",
    "GetBucketAcl": "AccessControlPolicy",
    "GetObjectAcl": "AccessControlPolicy",
    "GetBucketAccelerateConfiguration": "AccelerateConfiguration",
    "GetBucketCors": "CORSConfiguration",
    "GetBucketLifecycle": "LifecycleConfiguration",
    "GetBucketLifecycleConfiguration": "LifecycleConfiguration",
    "GetBucketLogging": "BucketLoggingStatus",
    "GetBucketNotification": "NotificationConfiguration",
    "GetBucketNotificationConfiguration": "NotificationConfiguration",
    "GetBucketRequestPayment": "RequestPaymentConfiguration",
    "GetBucketTagging": "Tagging",
    "GetObjectTagging": "Tagging",
    "GetBucketVersioning": "VersioningConfiguration",
    "GetBucketWebsite": "WebsiteConfiguration",
}
FIRST: Final = {"ListBuckets": ("Owner", "Buckets"), "ListParts": ("Bucket", "Key", "UploadId", "Initiator", "Owner")}
STATUSES: Final = {
    "RestoreObject": 202,
    "PutBucketTagging": 204,
    "PutBucketPolicy": 204,
}
_INTEGERS: Final = {
    "max-keys": "Provided max-keys not an integer or within integer range",
    "partNumber": "Part number must be an integer between 1 and 10000, inclusive",
}
_ENCODED_WORD: Final = re.compile(r"=\?[^?\s]+\?[bBqQ]\?[^?]*\?=")


def malformed_xml(_reason: str = "") -> ApiError:
    return ApiError("MalformedXML", MALFORMED_XML, status=400)


def invalid_argument(message: str | None, name: str, value: str) -> ApiError:
    return ApiError("InvalidArgument", message, status=400, members={"ArgumentName": name, "ArgumentValue": value})


def bad_argument(name: str, text: str, error: ApiError) -> ApiError | None:
    """A date in a condition that is none is as if it were not there."""
    lowered = name.lower()
    if lowered.endswith("modified-since"):
        return None
    message = _INTEGERS.get(name)
    if message is None and name.startswith("max-"):
        message = f"Provided {name} not an integer or within integer range"
    return invalid_argument(message or error.message, name, text)


def metadata_from_header(text: str) -> str:
    """Bytes of UTF-8 as text, and words in the encoding of mail headers decoded: S3 keeps what they say."""
    try:
        text = text.encode("latin-1").decode()
    except UnicodeError:
        pass
    if _ENCODED_WORD.search(text):
        try:
            return str(make_header(decode_header(text)))
        except (HeaderParseError, UnicodeError, LookupError, ValueError):
            return text
    return text


def metadata_to_header(text: str) -> str:
    return text if text.isascii() else Header(text, "utf-8", maxlinelen=10_000_000).encode()


def refusal(operation: str, failure: Failure, payload: str | None) -> ApiError | None:
    """Of a failed rule of the model: the XML's shape is S3's business, values of headers are its handlers'."""
    first = failure.path.split(".", 1)[0]
    if operation == "GetObjectAttributes" and first == "objectAttributes" and failure.value is None:
        return ApiError(
            "MissingSecurityHeader",
            "Your request was missing a required header",
            status=400,
            members={"MissingHeaderName": "x-amz-object-attributes"},
        )
    if payload is None or first != payload[:1].lower() + payload[1:]:
        return None
    if operation.startswith("PutBucketNotification") and failure.value is not None:
        return None
    if operation == "CreateBucket" and failure.path.endswith("locationConstraint"):
        # The handler has words for each region that it cannot be.
        return None
    return malformed_xml()


HABITS: Final = Habits(
    roots=ROOTS,
    first=FIRST,
    statuses=STATUSES,
    bare={"GetBucketLocation": "LocationConstraint"},
    malformed=malformed_xml,
    bad_argument=bad_argument,
    header_from_text=metadata_from_header,
    header_to_text=metadata_to_header,
)
