"""Why there was no warm environment: what became of the ones before, by function version and tenant.

Bounded: of functions that nothing happened to for longest, the past is forgotten.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from lambent.environments.events import Cause
from lambent.functions.records import FunctionVersion

REMEMBERED: Final = 5_000
"""Function versions."""

_Key = tuple[str, str, str, str, str | None]


@dataclass(frozen=True, slots=True)
class Past:
    """The last environment of a function version."""

    deployment_id: str
    end: Cause | None = None
    """How it ended, if it did."""


def cause(past: Past | None, deployment_id: str, *, busy: int, provisioned: bool, tenant: bool = False) -> Cause:
    """Of a new environment, where `busy` others of the same deployment exist."""
    if provisioned:
        return Cause.PROVISIONED
    if busy:
        return Cause.BUSY
    if past is None:
        return Cause.TENANT if tenant else Cause.FIRST
    if past.deployment_id != deployment_id:
        return Cause.CHANGED
    return past.end or Cause.FAILED


class Causes:
    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._remembered = remembered
        self._past: OrderedDict[_Key, Past] = OrderedDict()

    def started(self, version: FunctionVersion, *, busy: int, provisioned: bool, tenant_id: str | None = None) -> Cause:
        """An environment is being made; why."""
        key = _key(version, tenant_id)
        tenant = tenant_id is not None
        found = cause(self._past.get(key), version.deployment_id, busy=busy, provisioned=provisioned, tenant=tenant)
        self._remember(key, Past(version.deployment_id))
        return found

    def ended(self, version: FunctionVersion, end: Cause, tenant_id: str | None = None) -> None:
        """The last environment of a deployment is gone."""
        key = _key(version, tenant_id)
        past = self._past.get(key)
        if past is not None and past.deployment_id == version.deployment_id:
            self._remember(key, Past(version.deployment_id, end))

    def _remember(self, key: _Key, past: Past) -> None:
        self._past[key] = past
        self._past.move_to_end(key)
        while len(self._past) > self._remembered:
            self._past.popitem(last=False)


def _key(version: FunctionVersion, tenant_id: str | None) -> _Key:
    return version.account, version.region, version.name, version.version, tenant_id
