"""From what a caller writes (name, partial ARN, ARN, with or without qualifier) to the version that runs.

The texts of its errors are AWS's. `Resolver.resolve` is on the path of every invocation: a form of a name
that was resolved before is one look-up, until the read model changes.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from lambent.aws.errors import ApiError, invalid_parameter, not_found
from lambent.functions.read_model import ReadModel
from lambent.functions.records import LATEST, FunctionKey, FunctionVersion

_REFERENCE = re.compile(
    r"(?:arn:(?:aws[a-zA-Z-]*)?:lambda:)?"
    r"(?:(?P<region>(?:eusc-)?[a-z]{2}(?:-gov|-iso[a-z]?)?-[a-z]+-\d):)?"
    r"(?:(?P<account>\d{12}):)?"
    r"(?:function:)?"
    r"(?P<name>[a-zA-Z0-9_.-]+)"
    r"(?::(?P<qualifier>\$LATEST(?:\.PUBLISHED)?|[a-zA-Z0-9_-]+))?"
)


@dataclass(frozen=True, slots=True)
class Reference:
    """What a FunctionName says."""

    name: str
    qualifier: str | None
    account: str | None
    region: str | None
    bare: bool
    """Nothing but a name."""


@dataclass(frozen=True, slots=True)
class Target:
    """Which function a call means, whether it exists or not."""

    key: FunctionKey
    qualifier: str | None

    @property
    def arn(self) -> str:
        return f"{self.key.arn}:{self.qualifier}" if self.qualifier else self.key.arn


@dataclass(frozen=True, slots=True)
class Resolved:
    function: FunctionVersion
    """What an invocation runs now; look at its `state` before."""
    invoked_arn: str
    """The ARN as the handler's context shows it: unqualified when the caller named no qualifier."""
    target: Target


@lru_cache(maxsize=4096)
def parse(function_name: str) -> Reference:
    match = _REFERENCE.fullmatch(function_name)
    if match is None:
        raise invalid_parameter(f"Invalid function name: {function_name}")
    name, qualifier = match["name"], match["qualifier"]
    return Reference(name, qualifier, match["account"], match["region"], bare=function_name == name)


def locate(
    account: str,
    region: str,
    function_name: str,
    qualifier: str | None = None,
    *,
    action: str,
    caller_arn: str = "",
    by_policy: bool = True,
) -> Target:
    """The function that is meant. `by_policy`: the operation can be allowed to other accounts at all."""
    reference = parse(function_name)
    if reference.region is not None and reference.region != region:
        raise not_found(f"Functions from '{reference.region}' are not reachable in this region ('{region}')")
    if reference.account is not None and reference.account != account:
        raise _denied(reference, region, action, caller_arn, by_policy)
    if qualifier and reference.qualifier and qualifier != reference.qualifier:
        raise invalid_parameter("The derived qualifier from the function name does not match the specified qualifier.")
    return Target(FunctionKey(account, region, reference.name), qualifier or reference.qualifier)


def _denied(reference: Reference, region: str, action: str, caller_arn: str, by_policy: bool) -> ApiError:
    if not by_policy:
        return ApiError("AccessDeniedException", None, status=403)
    arn = FunctionKey(reference.account or "", region, reference.name).arn
    return ApiError(
        "AccessDeniedException",
        f"User: {caller_arn} is not authorized to perform: {action} on resource: {arn}"
        f" because no resource-based policy allows the {action} action",
        status=403,
    )


class Resolver:
    """`resolve` for invocations. Keeps what it found until the read model changes."""

    def __init__(self, read_model: ReadModel) -> None:
        self._read_model = read_model
        self._generation = -1
        self._known: dict[tuple[str, str, str, str | None], Resolved] = {}

    def resolve(self, account: str, region: str, function_name: str, qualifier: str | None = None) -> Resolved:
        """`ApiError` when the function or version does not exist or the name contradicts itself."""
        if self._generation != self._read_model.generation:
            self._known = {}
            self._generation = self._read_model.generation
        asked = (account, region, function_name, qualifier)
        found = self._known.get(asked)
        if found is None:
            found = self._known[asked] = self._find(*asked)
        return found

    def _find(self, account: str, region: str, function_name: str, qualifier: str | None) -> Resolved:
        caller = f"arn:aws:iam::{account}:root"
        target = locate(account, region, function_name, qualifier, action="lambda:InvokeFunction", caller_arn=caller)
        function = self._read_model.get(target.key)
        version: FunctionVersion | None = None
        if function is not None:
            asks_latest = target.qualifier in (None, LATEST)
            version = function.invoked if asks_latest else function.version(target.qualifier)
        if version is None:
            raise not_found(f"Function not found: {target.key.arn}:{target.qualifier or LATEST}")
        return Resolved(version, target.arn, target)
