"""How a protocol says that the access key, or the token sent with it, is not valid. Pure."""

from typing import Final

from lambent.aws.errors import ApiError
from lambent.gateway.protocols import unparsed
from lambent.gateway.protocols.query import Query

UNKNOWN_TOKEN: Final = "UnrecognizedClientException"
"""The word of Lambda and of the JSON protocols."""


def in_words_of(protocol: object, error: ApiError) -> ApiError:
    if error.code != UNKNOWN_TOKEN:
        return error
    if protocol is unparsed.S3:
        text = "The AWS Access Key Id you provided does not exist in our records."
        return ApiError("InvalidAccessKeyId", text, status=403)
    if protocol is unparsed.EC2:
        text = "AWS was not able to validate the provided access credentials"
        return ApiError("AuthFailure", text, status=401)
    if protocol is unparsed.REST_XML or isinstance(protocol, Query):
        return ApiError("InvalidClientTokenId", error.message, status=403)
    return error
