"""Whether the source of a mapping is there and fits the function, asked of the service that owns it.

A service that is not built or cannot be reached says nothing about its queues and streams: the mapping is accepted,
and what is wrong shows when it is polled. Kafka, MQ and DocumentDB are known by their ARN alone.
"""

from typing import Any, Final

from lambent.aws.arn import Arn
from lambent.aws.caller import Caller
from lambent.aws.errors import ApiError, PlatformFault, invalid_parameter
from lambent.event_sources.api.validation import MappedFunction
from lambent.event_sources.records import EventSourceMapping
from lambent.event_sources.sources import SOURCES, Kind

NO_QUEUE: Final = (
    "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue."
    " SQS Error Message: The specified queue does not exist."
)
NO_QUEUE_RIGHTS: Final = "The provided execution role does not have permissions to call ReceiveMessage on SQS"


class Sources:
    """`check` before a mapping is stored."""

    def __init__(self, caller: Caller | None) -> None:
        """`caller`: None when no service can be asked."""
        self._caller = caller

    async def check(self, mapping: EventSourceMapping, function: MappedFunction) -> None:
        """Raises `ApiError`."""
        if mapping.source_arn is None:
            return
        arn = Arn.parse(mapping.source_arn)
        kind = SOURCES[mapping.source].kind
        if arn.region != mapping.region:
            raise _absent(kind, mapping.source_arn)
        if arn.account != mapping.account:
            # Policies of queues and streams are the business of their services, and none checks them for us yet.
            raise _denied(kind, mapping.source_arn)
        try:
            await self._look(kind, arn, mapping, function)
        except PlatformFault:
            return
        except ApiError as error:
            if error.status == 501 or (error.status or 0) >= 500:
                return
            raise _said(kind, mapping.source_arn, error) from error

    async def _look(self, kind: Kind, arn: Arn, mapping: EventSourceMapping, function: MappedFunction) -> None:
        if kind is Kind.SQS:
            await self._look_at_queue(arn, mapping, function)
        elif kind is Kind.KINESIS and "/consumer/" in arn.resource:
            await self._ask(arn, "kinesis", "DescribeStreamConsumer", {"ConsumerARN": mapping.source_arn}, function)
        elif kind is Kind.KINESIS:
            name = {"StreamName": arn.resource.removeprefix("stream/")}
            await self._ask(arn, "kinesis", "DescribeStreamSummary", name, function)
        elif kind is Kind.DYNAMODB:
            await self._ask(arn, "dynamodbstreams", "DescribeStream", {"StreamArn": mapping.source_arn}, function)

    async def _look_at_queue(self, arn: Arn, mapping: EventSourceMapping, function: MappedFunction) -> None:
        url = await self._ask(arn, "sqs", "GetQueueUrl", {"QueueName": arn.resource}, function)
        asked = {"QueueUrl": url.get("QueueUrl"), "AttributeNames": ["VisibilityTimeout"]}
        attributes = (await self._ask(arn, "sqs", "GetQueueAttributes", asked, function)).get("Attributes") or {}
        visibility = attributes.get("VisibilityTimeout")
        if visibility is not None and int(visibility) < function.timeout_s:
            raise _Unfit(
                f"Queue visibility timeout: {visibility} seconds is less than Function timeout:"
                f" {function.timeout_s} seconds"
            )

    async def _ask(
        self, arn: Arn, service: str, operation: str, parameters: dict[str, Any], function: MappedFunction
    ) -> Any:
        if self._caller is None:
            raise PlatformFault(f"There is nobody to ask for {service}.")
        return await self._caller.call(
            service, operation, parameters, account=arn.account, region=arn.region, principal=function.role
        )


class _Unfit(ApiError):
    """Already in the words for the caller."""

    def __init__(self, message: str) -> None:
        super().__init__("InvalidParameterValueException", message)


def _said(kind: Kind, arn: str, error: ApiError) -> ApiError:
    """What the service answered, as Lambda tells it."""
    if isinstance(error, _Unfit):
        return error
    if "AccessDenied" in error.code or "NotAuthorized" in error.code:
        return _denied(kind, arn)
    if "NonExistentQueue" in error.code or error.code in ("QueueDoesNotExist", "ResourceNotFoundException"):
        return _absent(kind, arn)
    if kind is Kind.SQS:
        return invalid_parameter(
            f"Error occurred while ReceiveMessage. SQS Error Code: {error.code}. SQS Error Message: {error.message}"
        )
    return invalid_parameter(f"Received Exception while reading from provided stream. {error.message}")


def _absent(kind: Kind, arn: str) -> ApiError:
    if kind is Kind.SQS:
        return invalid_parameter(NO_QUEUE)
    if kind in (Kind.KINESIS, Kind.DYNAMODB):
        return invalid_parameter(f"Stream not found: {arn}")
    return invalid_parameter(f"Event source not found: {arn}")


def _denied(kind: Kind, arn: str) -> ApiError:
    if kind is Kind.SQS:
        return invalid_parameter(NO_QUEUE_RIGHTS)
    if kind in (Kind.KINESIS, Kind.DYNAMODB):
        return invalid_parameter(
            f"Cannot access stream {arn}. Please ensure the role can perform the GetRecords, GetShardIterator,"
            " DescribeStream, ListShards, and ListStreams Actions on your stream in IAM."
        )
    return invalid_parameter(f"Cannot access event source {arn}: it belongs to another account.")
