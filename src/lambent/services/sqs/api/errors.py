"""Refusals in the words of AWS. Codes are names of the model's error shapes, else those of the query protocol."""

from lambent.aws.errors import ApiError
from lambent.services.sqs.records import Refusal

_UNKNOWN_TASK = "The resource that you specified for the {} parameter doesn't exist."


def no_queue() -> ApiError:
    return ApiError("QueueDoesNotExist", "The specified queue does not exist.")


def no_foreign_queue() -> ApiError:
    """What is not there cannot be told from what is not allowed."""
    return ApiError("QueueDoesNotExist", "The specified queue does not exist or you do not have access to it.")


def no_resource(parameter: str) -> ApiError:
    return ApiError("ResourceNotFoundException", _UNKNOWN_TASK.format(parameter))


def invalid(message: str) -> ApiError:
    return ApiError("InvalidParameterValue", message)


def invalid_value(value: object, parameter: str, reason: str) -> ApiError:
    return invalid(f"Value {value} for parameter {parameter} is invalid. Reason: {reason}")


def missing(parameter: str) -> ApiError:
    return ApiError("MissingParameter", f"The request must contain the parameter {parameter}.")


def unknown_attribute(name: str) -> ApiError:
    return ApiError("InvalidAttributeName", f"Unknown Attribute {name}.")


def bad_attribute(name: str, reason: str | None = None) -> ApiError:
    why = "" if reason is None else f" Reason: {reason}"
    return ApiError("InvalidAttributeValue", f"Invalid value for the parameter {name}.{why}")


def throttled() -> ApiError:
    """The code is documented; the text is that of other services of AWS."""
    return ApiError("ThrottlingException", "Rate exceeded")


def not_of_this_type(value: object, parameter: str) -> ApiError:
    return invalid_value(value, parameter, "The request include parameter that is not valid for this queue type.")


def denied(caller: str, action: str, resource: str, *, explicitly: bool) -> ApiError:
    low = action.lower()
    why = (
        "with an explicit deny in a resource-based policy"
        if explicitly
        else f"because no resource-based policy allows the {low} action"
    )
    text = f"User: {caller} is not authorized to perform: {low} on resource: {resource} {why}"
    return ApiError("AccessDenied", text, status=403)


def of_handle(refusal: Refusal, handle: str, visibility_s: int | None = None) -> ApiError:
    """Why a receipt handle had no effect."""
    match refusal:
        case Refusal.INVALID:
            text = f'The input receipt handle "{handle}" is not a valid receipt handle.'
            return ApiError("ReceiptHandleIsInvalid", text)
        case Refusal.EXPIRED:
            return invalid_value(handle, "ReceiptHandle", "The receipt handle has expired.")
        case Refusal.GONE:
            reason = "Message does not exist or is not available for visibility timeout change."
            return invalid_value(handle, "ReceiptHandle", reason)
        case Refusal.TOO_LONG:
            reason = "Total VisibilityTimeout for the message is beyond the limit [43200 seconds]"
            return invalid_value(visibility_s, "VisibilityTimeout", reason)
