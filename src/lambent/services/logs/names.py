"""Names and ARNs of log groups and streams.

Source: CloudWatch Logs API reference, LogGroup: `arn` ends with `:*`, `logGroupArn` does not.
"""

from dataclasses import dataclass

from lambent.aws.errors import ApiError

_REFUSED = "InvalidParameterException"


@dataclass(frozen=True, slots=True)
class Scope:
    """Account and region: the key of all state."""

    account: str
    region: str

    def group_arn(self, group: str) -> str:
        return f"arn:aws:logs:{self.region}:{self.account}:log-group:{group}"

    def stream_arn(self, group: str, stream: str) -> str:
        return f"{self.group_arn(group)}:log-stream:{stream}"


def group_of_arn(scope: Scope, arn: str) -> str:
    """Name of the group that `arn` names in `scope`; with or without the trailing `:*`."""
    parts = arn.split(":", 6)
    if len(parts) < 7 or parts[0] != "arn" or parts[2] != "logs" or parts[5] != "log-group" or not parts[6]:
        raise ApiError(_REFUSED, f"The specified ARN is not a log group: {arn}")
    if parts[3] != scope.region or parts[4] != scope.account:
        raise ApiError("ResourceNotFoundException", "The specified log group does not exist.")
    return parts[6].removesuffix(":*")


def group_of_identifier(scope: Scope, name: str | None, identifier: str | None) -> str:
    """The group named by exactly one of `logGroupName` and `logGroupIdentifier` (a name or an ARN)."""
    if (name is None) == (identifier is None):
        found = "Both were given" if name is not None else "None was given"
        raise ApiError(_REFUSED, f"Exactly one of logGroupName and logGroupIdentifier must be specified. {found}.")
    if name is not None:
        return name
    assert identifier is not None
    return group_of_arn(scope, identifier) if identifier.startswith("arn:") else identifier
