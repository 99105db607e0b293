"""What the handlers of the API work with, and the look-ups that they share."""

from dataclasses import dataclass
from datetime import datetime

from lambent.aws.errors import ApiError, not_found
from lambent.aws.service import CallContext
from lambent.core.clock import Clock
from lambent.event_sources.api.validation import MappedFunction
from lambent.event_sources.changes import Changes, ReadModel
from lambent.event_sources.existence import Sources
from lambent.event_sources.records import AT_REST, EventSourceMapping, MappingKey
from lambent.functions.api.validation import refuse_for_tenants
from lambent.functions.quotas import Quotas
from lambent.functions.read_model import ReadModel as Functions
from lambent.functions.records import LATEST, Alias, Function, FunctionVersion
from lambent.functions.resolve import Target, address


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    read_model: ReadModel
    changes: Changes
    functions: Functions
    sources: Sources
    clock: Clock
    quotas: Quotas

    def now(self) -> datetime:
        """In whole milliseconds, as AWS writes LastModified."""
        now = self.clock.now()
        return now.replace(microsecond=now.microsecond // 1000 * 1000)


def existing(mapping: EventSourceMapping | None) -> EventSourceMapping:
    if mapping is None:
        raise not_found("The resource you requested does not exist.")
    return mapping


def changeable(mapping: EventSourceMapping | None, verb: str) -> EventSourceMapping:
    """The mapping, when it is at rest. `verb`: update or delete."""
    found = existing(mapping)
    if found.state not in AT_REST:
        raise ApiError("ResourceInUseException", f"Cannot {verb} the event source mapping because it is in use.")
    return found


def key_of(context: CallContext, uuid: str) -> MappingKey:
    return MappingKey(context.account, context.region, uuid)


def target_of(context: CallContext, name: str) -> Target:
    """Which function is meant. Raises `ApiError` for one of another region."""
    return address(context.account, context.region, name)


def function_of(parts: Parts, context: CallContext, name: str) -> MappedFunction | None:
    """None when there is no such function, version or alias."""
    target = target_of(context, name)
    function = parts.functions.get(target.key)
    version = None if function is None else _version(function, target.qualifier)
    if version is None:
        return None
    refuse_for_tenants(version, "An event source mapping")
    return MappedFunction(target.arn, target.key.name, version.timeout_s, version.role)


def _version(function: Function, qualifier: str | None) -> FunctionVersion | None:
    if qualifier not in (None, LATEST) and (alias := function.attached(Alias, str(qualifier))) is not None:
        qualifier = alias.version
    return function.version(qualifier)
