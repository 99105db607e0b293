"""Whether a role lets Lambda assume it, by its trust policy. Pure."""

from collections.abc import Sequence
from typing import Final

from lambent.aws.policy.principals import Principal
from lambent.aws.trust import ASSUME, refused_action
from lambent.services.neighbours.journal import Write

LAMBDA: Final = "lambda.amazonaws.com"


def trust_policy(kept: Sequence[Write], account: str, role_name: str) -> str | None:
    """The policy in force, by the writes that are kept, oldest first; None when there is no such role."""
    found = None
    for write in kept:
        members = write.members()
        if write.account != account or members.get("RoleName") != role_name:
            continue
        if members["Action"] == "CreateRole":
            found = members.get("AssumeRolePolicyDocument")
        elif members["Action"] == "UpdateAssumeRolePolicy":
            found = members.get("PolicyDocument")
    return found


def lets_lambda_assume(document: str, role_arn: str, function_arn: str) -> bool:
    context: dict[str, str | list[str]] = {
        "aws:SourceArn": function_arn,
        "aws:SourceAccount": function_arn.split(":")[4],
        "aws:PrincipalServiceName": LAMBDA,
        "aws:PrincipalIsAWSService": "true",
    }
    return refused_action(document, Principal.of_service(LAMBDA), role_arn, (ASSUME,), context) is None
