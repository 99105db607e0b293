"""AWS's errors of S3 that more than one operation answers, with their extra elements."""

from lambent.aws.errors import ApiError
from lambent.aws.service import Result


def error(code: str, message: str | None, status: int, **members: object) -> ApiError:
    return ApiError(code, message, status=status, members=members)


def no_such_bucket(name: str) -> ApiError:
    return error("NoSuchBucket", "The specified bucket does not exist", 404, BucketName=name)


def no_such_key(key: str) -> ApiError:
    return error("NoSuchKey", "The specified key does not exist.", 404, Key=key)


def no_such_version(key: str, version: str) -> ApiError:
    return error("NoSuchVersion", "The specified version does not exist.", 404, Key=key, VersionId=version)


def no_such_upload(upload: str) -> ApiError:
    text = (
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or"
        " completed."
    )
    return error("NoSuchUpload", text, 404, UploadId=upload)


def invalid_argument(message: str | None, name: str, value: object) -> ApiError:
    return error("InvalidArgument", message, 400, ArgumentName=name, ArgumentValue=value)


def invalid_request(message: str) -> ApiError:
    return error("InvalidRequest", message, 400)


def malformed_xml() -> ApiError:
    text = "The XML you provided was not well-formed or did not validate against our published schema"
    return error("MalformedXML", text, 400)


def precondition_failed(condition: str) -> ApiError:
    text = "At least one of the pre-conditions you specified did not hold"
    return error("PreconditionFailed", text, 412, Condition=condition)


def method_not_allowed(method: str, resource: str) -> ApiError:
    text = "The specified method is not allowed against this resource."
    return error("MethodNotAllowed", text, 405, Method=method, ResourceType=resource)


def access_denied(message: str = "Access Denied") -> ApiError:
    return error("AccessDenied", message, 403)


def not_implemented(header: str, more: str | None = None) -> ApiError:
    members: Result = {"Header": header} | ({"additionalMessage": more} if more else {})
    text = "A header you provided implies functionality that is not implemented"
    return ApiError("NotImplemented", text, status=501, members=members)
