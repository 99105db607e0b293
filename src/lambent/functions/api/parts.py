"""What the handlers of the API work with, and the few steps that many of them share."""

import asyncio
import base64
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeVar

from sqlalchemy import Connection

from lambent.aws.errors import ApiError, conflict, invalid_parameter, not_found
from lambent.aws.service import CallContext, Parameters
from lambent.core.clock import Clock
from lambent.functions import store
from lambent.functions.changes import Changes
from lambent.functions.code_urls import CodeUrls
from lambent.functions.deprecation import Deprecations, refuse_deprecated
from lambent.functions.layers.catalog import Layers
from lambent.functions.layers.records import LayerKey
from lambent.functions.layers.use import chosen
from lambent.functions.networks import Networks, wanted
from lambent.functions.packages import Packages
from lambent.functions.ports import CodeSource, Provisioner, Roles, RuntimeVersionArn, SnapshotTaker, Taggable
from lambent.functions.quotas import Quotas
from lambent.functions.read_model import ReadModel
from lambent.functions.records import LATEST, CodePackage, Function, FunctionKey, LayerReference, State, UpdateStatus
from lambent.functions.resolve import Target, address
from lambent.functions.signing.check import CodeSigningCheck
from lambent.functions.vpc import Vpc

T = TypeVar("T")

LAMBDA = "lambda.amazonaws.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    read_model: ReadModel
    changes: Changes
    packages: Packages
    urls: CodeUrls
    layers: Layers
    code_source: CodeSource
    signing: CodeSigningCheck
    taggables: Mapping[str, Taggable]
    """By kind, as it stands in an ARN."""
    provisioner: Provisioner
    snapshots: SnapshotTaker
    runtime_version_arn: RuntimeVersionArn
    roles: Roles
    networks: Networks
    clock: Clock
    quotas: Quotas
    deprecations: Deprecations


def check_role(parts: Parts, role_arn: str | None, function_arn: str) -> None:
    """A role that does not exist is accepted."""
    if role_arn and parts.roles.refuses_lambda(role_arn, function_arn):
        raise invalid_parameter("The role defined for the function cannot be assumed by Lambda.")


async def vpc_of(parts: Parts, context: CallContext, parameters: Parameters) -> Vpc | None:
    """What the VpcConfig of a request asks for, as EC2 knows it now."""
    scope = {"account": context.account, "region": context.region, "principal": LAMBDA}
    return await wanted(parts.networks, parameters, **scope)


def check_runtime(parts: Parts, runtime: str | None) -> None:
    """Refuse a runtime that the user's table has as deprecated."""
    refuse_deprecated(runtime, parts.clock.now().date(), parts.deprecations)


async def to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """Await `work`, and let it end even when the caller hangs up: a package is held until its row is committed."""
    task = asyncio.ensure_future(work)
    task.add_done_callback(_seen)
    return await asyncio.shield(task)


def _seen(task: asyncio.Future[Any]) -> None:
    # Who hung up does not hear of a refusal, and that is no error of ours.
    if not task.cancelled():
        task.exception()


def target(context: CallContext, parameters: Parameters) -> Target:
    """What FunctionName and Qualifier mean. It is of `context.account`: `functions.admission` has seen to that."""
    return address(context.account, context.region, parameters["FunctionName"], parameters.get("Qualifier"))


def whole_function(found: Target) -> FunctionKey:
    """The key, for operations on what no version and no alias has of its own."""
    if found.qualifier is not None:
        raise invalid_parameter(
            "This operation is permitted on Lambda functions only. Aliases and versions do not support this operation."
            " Please specify either a function name or an unqualified function ARN."
        )
    return found.key


def latest_only(found: Target) -> FunctionKey:
    """The key, for operations that change `$LATEST`: nothing else can be changed."""
    if found.qualifier not in (None, LATEST):
        raise invalid_parameter(f"Only {LATEST} can be updated, not {found.arn}.")
    return found.key


def existing(function: Function | None, key: FunctionKey) -> Function:
    if function is None:
        raise not_found(f"Function not found: {key.arn}")
    return function


def changeable(connection: Connection, key: FunctionKey, revision_id: str | None = None) -> Function:
    """The stored function, when no transition is under way and the caller knows its newest revision."""
    function = existing(store.load(connection, key), key)
    refuse_while_in_transition(function)
    refuse_other_revision(function, revision_id)
    return function


def refuse_while_in_transition(function: Function) -> None:
    refuse_in_state(function, State.PENDING)
    refuse_while_updating(function)


def refuse_in_state(function: Function, state: State) -> None:
    if function.latest.state is state:
        raise conflict(
            f"The operation cannot be performed at this time. The function is currently in the following state: {state}"
        )


def refuse_while_updating(function: Function) -> None:
    if function.latest.last_update_status is UpdateStatus.IN_PROGRESS:
        raise conflict(
            "The operation cannot be performed at this time."
            f" An update is in progress for resource: {function.latest.function_arn}"
        )


def check_storage(parts: Parts, key: FunctionKey | LayerKey, code: CodePackage) -> None:
    """Refuse code that would not fit in the account's quota of the region."""
    if stored_bytes(parts, key.account, key.region) + code.size_bytes > parts.quotas.max_code_storage_bytes:
        raise ApiError("CodeStorageExceededException", "Code storage limit exceeded.")


def stored_bytes(parts: Parts, account: str, region: str) -> int:
    """Archives of all versions of functions and layers."""
    stored = chain(parts.read_model.code_of(account, region), parts.layers.code_of(account, region))
    return sum(code.size_bytes for code in stored)


@contextmanager
def layers_in_use(
    parts: Parts, context: CallContext, parameters: Parameters
) -> Iterator[tuple[LayerReference, ...] | None]:
    """The `Layers` of a request, whose packages stay until the function names them; None when there are none sent."""
    layers = chosen(parts.layers, parts.quotas, context, parameters.get("Layers"))
    with parts.packages.hold_opt([layer.code for layer in layers or ()]):
        yield layers


async def check_layers_signed(
    parts: Parts, key: FunctionKey, config_arn: str | None, layers: Sequence[LayerReference]
) -> None:
    """The code signing configuration of a function is about its layers too."""
    if config_arn is not None:
        for layer in layers:
            archive = parts.packages.archive(layer.code.sha256)
            await parts.signing.of(key, config_arn, await asyncio.to_thread(archive.read_bytes))


def refuse_other_revision(function: Function, revision_id: str | None) -> None:
    refuse_stale(function.latest.revision_id, revision_id)


def refuse_stale(newest: str, revision_id: str | None) -> None:
    if revision_id is not None and revision_id != newest:
        raise ApiError(
            "PreconditionFailedException",
            "The Revision Id provided does not match the latest Revision Id."
            " Call the GetFunction/GetAlias API to retrieve the latest Revision Id",
        )


def page(
    items: Sequence[T], parameters: Parameters, quotas: Quotas, key: Callable[[T], str], cap: int | None = None
) -> tuple[list[T], str | None]:
    """Cut one page out of `items`, sorted by `key`; and the marker of the next page, or None.

    `cap`: entries of a page, where that is not `page_size`. The marker names the last item of a page, so items that
    come and go between pages move nothing else.
    """
    cap = cap or quotas.page_size
    size = min(parameters.get("MaxItems") or cap, cap)
    marker = parameters.get("Marker")
    after = _from_marker(marker) if marker else None
    rest = [item for item in items if after is None or key(item) > after]
    if len(rest) <= size:
        return rest, None
    return rest[:size], to_marker(key(rest[size - 1]))


def to_marker(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).decode()


def _from_marker(marker: str) -> str:
    try:
        return base64.b64decode(marker.encode(), altchars=b"-_", validate=True).decode()
    except ValueError as error:
        raise invalid_parameter(f"Invalid Marker: {marker}") from error
