"""From what a caller writes (name, partial ARN, ARN, with or without qualifier) to the version that runs.

The texts of its errors are AWS's. `Resolver.resolve` is on the path of every invocation: a form of a name
that was resolved before is one look-up, until the read model changes.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from msgspec import Struct

from lambent.aws.errors import ApiError, invalid_parameter, not_found
from lambent.functions.read_model import ReadModel
from lambent.functions.records import LATEST, Alias, Function, FunctionKey, FunctionVersion

MOST_KEPT: Final = 65_536
"""Forms of names and their callers."""
INVOKE: Final = "lambda:InvokeFunction"

_REFERENCE = re.compile(
    r"(?:arn:(?:aws[a-zA-Z-]*)?:lambda:)?"
    r"(?:(?P<region>(?:eusc-)?[a-z]{2}(?:-gov|-iso[a-z]?)?-[a-z]+-\d):)?"
    r"(?:(?P<account>\d{12}):)?"
    r"(?:function:)?"
    r"(?P<name>[a-zA-Z0-9_.-]+)"
    r"(?::(?P<qualifier>\$LATEST(?:\.PUBLISHED)?|[a-zA-Z0-9_-]+))?"
)


class Reference(Struct, frozen=True):
    """What a FunctionName says."""

    name: str
    qualifier: str | None
    account: str | None
    region: str | None
    bare: bool
    """Nothing but a name."""


class Target(Struct, frozen=True):
    """Which function a call means, whether it exists or not."""

    key: FunctionKey
    qualifier: str | None

    @property
    def arn(self) -> str:
        return f"{self.key.arn}:{self.qualifier}" if self.qualifier else self.key.arn


class Resolved(Struct, frozen=True):
    function: FunctionVersion
    """What an invocation runs now; look at its `state` before."""
    invoked_arn: str
    """The ARN as the handler's context shows it: unqualified when the caller named no qualifier."""
    target: Target
    other: "Resolved | None" = None
    """Of an alias with weights: what gets `share` of the invocations instead."""
    share: float = 0.0


@lru_cache(maxsize=4096)
def parse(function_name: str) -> Reference:
    match = _REFERENCE.fullmatch(function_name)
    if match is None:
        raise invalid_parameter(f"Invalid function name: {function_name}")
    name, qualifier = match["name"], match["qualifier"]
    return Reference(name, qualifier, match["account"], match["region"], bare=function_name == name)


def address(account: str, region: str, function_name: str, qualifier: str | None = None) -> Target:
    """The function that is meant, in whatever account it is; `account` and `region` are those of the call."""
    reference = parse(function_name)
    if reference.region is not None and reference.region != region:
        raise not_found(f"Functions from '{reference.region}' are not reachable in this region ('{region}')")
    if qualifier and reference.qualifier and qualifier != reference.qualifier:
        raise invalid_parameter("The derived qualifier from the function name does not match the specified qualifier.")
    key = FunctionKey(reference.account or account, region, reference.name)
    return Target(key, qualifier or reference.qualifier)


def denied(arn: str, action: str, caller_arn: str) -> ApiError:
    """Nothing allows it."""
    return ApiError(
        "AccessDeniedException",
        f"User: {caller_arn} is not authorized to perform: {action} on resource: {arn}"
        f" because no resource-based policy allows the {action} action",
        status=403,
    )


def denied_without_reason() -> ApiError:
    """AWS's answer where no policy could allow it."""
    return ApiError("AccessDeniedException", None, status=403)


Admit = Callable[[Target, str, str], None]
"""From (target, ARN of the caller, action): raises `ApiError` 403 when policies do not let the caller."""


class Resolver:
    """`resolve` for invocations. Keeps what it found, admission included, until the read model changes."""

    def __init__(self, read_model: ReadModel, admit: Admit, random: Callable[[], float]) -> None:
        """`random` gives numbers from 0 to 1, without 1; aliases with weights share calls out by it."""
        self._read_model = read_model
        self._admit = admit
        self._random = random
        self._generation = -1
        self._known: dict[tuple[str, str, str, str | None, str | None], Resolved] = {}

    def resolve(
        self,
        account: str,
        region: str,
        function_name: str,
        qualifier: str | None = None,
        caller_arn: str | None = None,
    ) -> Resolved:
        """`ApiError` when the function or version does not exist, the name contradicts itself, or the caller may not.

        `account` and `region` are the call's. `caller_arn` None: Lambda itself, for a call that was admitted before,
        or whose principal is not an ARN; then the function must be of `account`.
        """
        if self._generation != self._read_model.generation:
            self._known = {}
            self._generation = self._read_model.generation
        asked = (account, region, function_name, qualifier, caller_arn)
        found = self._known.get(asked)
        if found is None:
            found = self._find(*asked)
            if len(self._known) >= MOST_KEPT:
                # Callers of any account may be let in, and there are very many accounts.
                self._known = {}
            self._known[asked] = found
        if found.other is not None and self._random() < found.share:
            return found.other
        return found

    def _find(
        self, account: str, region: str, function_name: str, qualifier: str | None, caller_arn: str | None
    ) -> Resolved:
        target = address(account, region, function_name, qualifier)
        if caller_arn is not None:
            self._admit(target, caller_arn, INVOKE)
        elif target.key.account != account:
            raise denied(target.arn, INVOKE, "")
        function = self._read_model.get(target.key)
        alias = None if function is None or not target.qualifier else function.attached(Alias, target.qualifier)
        version = None if function is None else _runs(function, target.qualifier if alias is None else alias.version)
        if function is None or version is None:
            raise not_found(f"Function not found: {target.key.arn}:{target.qualifier or LATEST}")
        other, share = None, 0.0
        for number, weight in () if alias is None else alias.weights.items():
            if (additional := _runs(function, number)) is not None:
                other, share = Resolved(additional, target.arn, target), weight
        return Resolved(version, target.arn, target, other, share)


def _runs(function: Function, qualifier: str | None) -> FunctionVersion | None:
    return function.invoked if qualifier in (None, LATEST) else function.version(qualifier)
