"""Statements of a function's resource policy: built from the members of AddPermission, kept in one document.

Pure. Key order and spelling (`AWS:SourceArn`, but `aws:PrincipalOrgID`) are those that AWS writes.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from lambent.aws.arn import partition_of
from lambent.aws.errors import ApiError, conflict, invalid_parameter, not_found
from lambent.aws.policy.documents import VERSIONS, Named, Statement, parse
from lambent.aws.policy.text import PolicyError, matches
from lambent.aws.service import Parameters

_SERVICE: Final = re.compile(r"[a-zA-Z0-9-]+(\.[a-zA-Z0-9-]+)*\.(amazonaws\.com(\.cn)?|amazon\.com)")
_IAM_ARN: Final = re.compile(
    r"arn:aws[a-zA-Z-]*:"
    r"(iam::[0-9]{12}:(root|(user|role)/[^\s*]+)|sts::[0-9]{12}:(assumed-role/[^/\s*]+/|federated-user/)[^\s*]+)"
)
_EMPTY: Final = f'{{"Version":"{VERSIONS[0]}","Id":"default","Statement":[]}}'
_NO_POLICY: Final = "No policy is associated with the given resource."

ACTIONS: Final = tuple(
    f"lambda:{name}"
    for name in (
        *("InvokeFunction", "InvokeFunctionUrl", "GetFunction", "GetFunctionConfiguration"),
        *("GetFunctionConcurrency", "GetFunctionEventInvokeConfig", "GetProvisionedConcurrencyConfig", "GetPolicy"),
        *("CreateAlias", "DeleteAlias", "GetAlias", "UpdateAlias", "ListAliases", "ListVersionsByFunction"),
        *("ListFunctionEventInvokeConfigs", "ListProvisionedConcurrencyConfigs", "ListTags", "TagResource"),
        *("UntagResource", "PublishVersion", "PutFunctionConcurrency", "PutFunctionEventInvokeConfig"),
        *("PutProvisionedConcurrencyConfig", "UpdateFunctionCode", "UpdateFunctionEventInvokeConfig"),
        *("DeleteFunction", "DeleteFunctionConcurrency", "DeleteFunctionEventInvokeConfig"),
        "DeleteProvisionedConcurrencyConfig",
    )
)
"""What the resource policy of a function can allow to others."""

Document = Mapping[str, Any]


def built(parameters: Parameters, arn: str, region: str) -> dict[str, Any]:
    """The statement that AddPermission asks for, about `arn`. `ApiError` for members that do not go together."""
    action = parameters["Action"]
    if not _can_be_allowed(action):
        raise invalid_parameter(_not_allowed(action))
    for member, only in (("FunctionUrlAuthType", "InvokeFunctionUrl"), ("InvokedViaFunctionUrl", "InvokeFunction")):
        if parameters.get(member) and action != f"lambda:{only}":
            raise invalid_parameter(f"{member} is only supported for lambda:{only} action")
    statement = {
        "Sid": parameters["StatementId"],
        "Effect": "Allow",
        "Principal": _principal(parameters["Principal"], region),
        "Action": action,
        "Resource": arn,
    }
    condition = _condition(parameters)
    return statement | {"Condition": condition} if condition else statement


def _can_be_allowed(action: str) -> bool:
    return any(matches(action.lower(), known.lower(), {}) for known in ACTIONS)


def _not_allowed(action: str) -> str:
    return f"The action {action} cannot be allowed by the policy of a function."


def _principal(given: str, region: str) -> str | dict[str, str]:
    if given == "*":
        return given
    if re.fullmatch(r"\d{12}", given, re.ASCII):
        return {"AWS": f"arn:{partition_of(region)}:iam::{given}:root"}
    if _IAM_ARN.fullmatch(given):
        return {"AWS": given}
    if _SERVICE.fullmatch(given):
        return {"Service": given}
    raise invalid_parameter("The provided principal was invalid. Please check the principal and try again.")


def _condition(parameters: Parameters) -> dict[str, dict[str, str]]:
    equals = {
        "lambda:FunctionUrlAuthType": parameters.get("FunctionUrlAuthType"),
        "lambda:EventSourceToken": parameters.get("EventSourceToken"),
        "aws:PrincipalOrgID": parameters.get("PrincipalOrgID"),
        "AWS:SourceAccount": parameters.get("SourceAccount"),
    }
    condition = {
        "StringEquals": {key: value for key, value in equals.items() if value},
        "Bool": {"lambda:InvokedViaFunctionUrl": "true"} if parameters.get("InvokedViaFunctionUrl") else {},
        "ArnLike": {"AWS:SourceArn": parameters["SourceArn"]} if parameters.get("SourceArn") else {},
    }
    return {operator: keys for operator, keys in condition.items() if keys}


def added(document: str | None, statement: Mapping[str, Any], limit_bytes: int) -> str:
    """The document with one more statement."""
    policy = _loaded(document or _EMPTY)
    sid = statement["Sid"]
    if any(each.get("Sid") == sid for each in policy["Statement"]):
        raise conflict(
            f"The statement id ({sid}) provided already exists."
            " Please provide a new statement id, or remove the existing statement."
        )
    policy["Statement"].append(statement)
    document = _sized(policy, limit_bytes)
    try:
        # What is kept can be read by who decides, whatever its origin.
        parse(document)
    except PolicyError as error:
        raise invalid_parameter(str(error)) from error
    return document


def removed(document: str | None, sid: str) -> str | None:
    """The document without the statement; None when it was the last."""
    if document is None:
        raise not_found(_NO_POLICY)
    policy = _loaded(document)
    left = [each for each in policy["Statement"] if each.get("Sid") != sid]
    if len(left) == len(policy["Statement"]):
        raise not_found(f"Statement {sid} is not found in resource policy.")
    return text(policy | {"Statement": left}) if left else None


def checked(document: str, arn: str, limit_bytes: int) -> str:
    """A whole document for `arn`, as it will be kept. `ApiError` for what is no policy of it."""
    try:
        policy = parse(document)
        for statement in policy.statements:
            _check(statement, arn)
    except PolicyError as error:
        raise invalid_parameter(str(error)) from error
    return _sized(json.loads(document), limit_bytes)


def _check(statement: Statement, arn: str) -> None:
    if statement.principals is None:
        raise PolicyError("A statement of a resource policy needs a Principal.")
    if not statement.actions.negated:
        for action in statement.actions.values:
            if not _can_be_allowed(action):
                raise PolicyError(_not_allowed(action))
    if statement.resources is None or not _is_about(statement.resources, arn):
        raise PolicyError(f"The Resource of each statement must be {arn}.")


def _is_about(resources: Named, arn: str) -> bool:
    return not resources.negated and all(matches(value, arn, {}) for value in resources.values)


def _loaded(document: str) -> dict[str, Any]:
    """With its statements as a list."""
    policy: dict[str, Any] = json.loads(document)
    if isinstance(policy["Statement"], dict):
        policy["Statement"] = [policy["Statement"]]
    return policy


def _sized(policy: Document, limit_bytes: int) -> str:
    document = text(policy)
    size = len(document.encode())
    if size > limit_bytes:
        raise ApiError(
            "PolicyLengthExceededException",
            f"The final policy size ({size}) is bigger than the limit ({limit_bytes}).",
        )
    return document


def text(value: Document) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
