"""Every error of Lambda's model with its status and the spelling of its message (spec of the API, 1.15)."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambent.aws.errors import ApiError
from lambent.aws.models import service_model
from lambent.aws.service import CallContext, Parameters, Result
from lambent.testing.aws_client import aws_client

SMALL = """
AliasLimitExceededException 400
CapacityProviderLimitExceededException 400
CodeArtifactUserDeletedException 409
CodeArtifactUserFailedException 409
CodeArtifactUserPendingException 409
CodeStorageExceededException 400
FunctionVersionsPerCapacityProviderLimitExceededException 400
InvalidParameterValueException 400
InvalidRequestContentException 400
ModeNotSupportedException 400
PolicyLengthExceededException 400
PreconditionFailedException 412
ProvisionedConcurrencyConfigNotFoundException 404
RequestTooLargeException 413
ResourceConflictException 409
ResourceNotReadyException 502
SerializedRequestEntityTooLargeException 413
TooManyRequestsException 429
UnsupportedMediaTypeException 415
"""
CAPITAL = """
CallbackTimeoutException 400
CodeSigningConfigNotFoundException 404
CodeVerificationFailedException 400
DurableExecutionAlreadyStartedException 409
EC2AccessDeniedException 502
EC2ThrottledException 502
EC2UnexpectedException 502
EFSIOException 410
EFSMountConnectivityException 408
EFSMountFailureException 403
EFSMountTimeoutException 408
ENILimitReachedException 502
ENINotReadyException 502
InvalidCodeSignatureException 400
InvalidRuntimeException 502
InvalidSecurityGroupIDException 502
InvalidSubnetIDException 502
InvalidZipFileException 502
KMSAccessDeniedException 502
KMSDisabledException 502
KMSInvalidStateException 502
KMSNotFoundException 502
NoPublishedVersionException 400
PublicPolicyException 400
RecursiveInvocationException 400
ResourceInUseException 400
ResourceNotFoundException 404
S3FilesMountConnectivityException 408
S3FilesMountFailureException 403
S3FilesMountTimeoutException 408
ServiceException 500
ServiceQuotaExceededException 402
SnapStartException 400
SnapStartNotReadyException 409
SnapStartRegenerationFailureException 409
SnapStartTimeoutException 408
SubnetIPAddressLimitReachedException 502
"""
TABLE = [
    (code, int(status), member)
    for rows, member in ((SMALL, "message"), (CAPITAL, "Message"))
    for code, _, status in (row.partition(" ") for row in rows.split("\n") if row)
]


@pytest.mark.parametrize(("code", "status", "member"), TABLE, ids=[f"1.15 {row[0]}" for row in TABLE])
async def test_an_error_has_its_status_and_its_spelling(code: str, status: int, member: str) -> None:
    async def handler(context: CallContext, parameters: Parameters) -> Result:
        raise ApiError(code, "why")

    async with aws_client("lambda", {"Invoke": handler}) as client:
        with pytest.raises(ClientError) as raised:
            await client.invoke(FunctionName="f")
    response: dict[str, Any] = raised.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert response["Error"] == {"Code": code, "Message": "why"}
    assert response["Type"] == ("Service" if status >= 500 else "User")
    assert ("message" in response) == (member == "message")


def test_the_table_has_every_error_of_the_model() -> None:
    """And two that the model has had since the table was made; nothing here raises them."""
    newer = {"RuntimeAliasDeletedException", "RuntimeVersionDeletedException"}
    assert {shape.name for shape in service_model("lambda").error_shapes} - newer == {row[0] for row in TABLE}
