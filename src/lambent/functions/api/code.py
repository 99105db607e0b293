"""Where the code of a request comes from: an archive in the request, or an object in S3.

The members have the same names in the `Code` of CreateFunction and in UpdateFunctionCode.
"""

from lambent.aws.errors import ApiError, invalid_parameter
from lambent.aws.service import CallContext, Parameters
from lambent.functions.api.parts import Parts
from lambent.functions.ports import S3Object
from lambent.functions.quotas import Quotas

_S3_MEMBERS = ("S3Bucket", "S3Key", "S3ObjectVersion")


def check_source(code: Parameters, quotas: Quotas) -> None:
    """Refuse what can be refused before anything is fetched."""
    archive: bytes | None = code.get("ZipFile")
    from_s3 = any(code.get(name) is not None for name in _S3_MEMBERS)
    if archive is not None and from_s3:
        raise invalid_parameter("Please do not provide other FunctionCode parameters when providing a ZipFile.")
    if archive is None and not (code.get("S3Bucket") and code.get("S3Key")):
        raise invalid_parameter("Please provide a source for function code.")
    if archive is not None and len(archive) >= quotas.max_zipped_bytes:
        raise ApiError(
            "RequestEntityTooLargeException",
            f"Zipped size must be smaller than {quotas.max_zipped_bytes} bytes",
            status=413,
        )


async def archive_of(parts: Parts, context: CallContext, code: Parameters) -> bytes:
    """The archive, fetched when it is in S3; `check_source` went before."""
    archive: bytes | None = code.get("ZipFile")
    if archive is not None:
        return archive
    found = S3Object(code["S3Bucket"], code["S3Key"], code.get("S3ObjectVersion") or None)
    return await parts.code_source.fetch(
        found, account=context.account, region=context.region, principal=context.identity.arn
    )
