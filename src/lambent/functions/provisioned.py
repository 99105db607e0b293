"""What provisioned concurrency asks for: how many environments of which version. Pure.

A configuration belongs to a version or to an alias; that of an alias follows it, and is split by its weights.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from lambent.functions.records import Alias, Function, FunctionVersion, ProvisionedConcurrency, State


@dataclass(frozen=True, slots=True)
class Wanted:
    """Of one version."""

    version: FunctionVersion
    executions: int
    asked: datetime
    """Of the newest configuration: a failure before it is forgiven."""


def shares(function: Function, qualifier: str, executions: int) -> dict[str, int]:
    """By number of version; empty when the alias is gone."""
    if qualifier in function.published:
        return {qualifier: executions}
    alias = function.attached(Alias, qualifier)
    if alias is None:
        return {}
    others = {number: round(executions * weight) for number, weight in alias.weights.items()}
    return {alias.version: executions - sum(others.values()), **others}


def by_version(function: Function) -> dict[str, int]:
    """All configurations of the function together."""
    together: dict[str, int] = {}
    for qualifier, config in function.all_attached(ProvisionedConcurrency).items():
        for number, executions in shares(function, qualifier, config.executions).items():
            if executions > 0:
                together[number] = together.get(number, 0) + executions
    return together


def wanted(functions: Iterable[Function]) -> Mapping[str, Wanted]:
    """By deployment. Versions that are not Active yet have nothing to run."""
    found = {}
    for function in functions:
        configs = function.all_attached(ProvisionedConcurrency).values()
        for number, executions in by_version(function).items():
            version = function.published.get(number)
            if version is not None and version.state is State.ACTIVE:
                asked = max(config.last_modified for config in configs)
                found[version.deployment_id] = Wanted(version, executions, asked)
    return found
