"""Functions in memory: the only thing an invocation reads.

Filled at the start and changed only by `apply`, on the event loop, after the commit of the same change. Everything
in it is frozen; a change replaces a whole `Function`.
"""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from lambent.functions import provisioned
from lambent.functions.opt import opt_digest
from lambent.functions.records import (
    CodePackage,
    Function,
    FunctionKey,
    FunctionVersion,
    ReservedConcurrency,
    UrlConfig,
)

_NOTHING: Final[Mapping[str, int]] = MappingProxyType({})
_NONE_PROVISIONED: Final[Mapping[str, Mapping[str, int]]] = MappingProxyType({})


class ReadModel:
    def __init__(self) -> None:
        self._regions: dict[tuple[str, str], dict[str, Function]] = {}
        self._urls: dict[str, tuple[FunctionKey, str]] = {}
        self._reserved: dict[tuple[str, str], dict[str, int]] = {}
        self._provisioned: dict[tuple[str, str], dict[str, Mapping[str, int]]] = {}
        self.generation = 0
        """Changes with every change; what was derived from the model may be kept as long as it is the same."""

    def load(self, functions: Iterable[Function]) -> None:
        self._regions = {}
        self._urls = {}
        self._reserved = {}
        self._provisioned = {}
        for function in functions:
            self._put(function)
        self.generation += 1

    def put(self, function: Function) -> None:
        self._put(function)
        self.generation += 1

    def _put(self, function: Function) -> None:
        key = function.latest.key
        region = self._regions.setdefault((key.account, key.region), {})
        self._forget_urls(region.get(key.name))
        region[key.name] = function
        for qualifier, config in function.all_attached(UrlConfig).items():
            self._urls[config.url_id] = key, qualifier
        self._note_reserved(key, function.attached(ReservedConcurrency))
        self._note_provisioned(key, provisioned.by_version(function))

    def remove(self, key: FunctionKey) -> None:
        self._forget_urls(self._regions.get((key.account, key.region), {}).pop(key.name, None))
        self._note_reserved(key, None)
        self._note_provisioned(key, {})
        self.generation += 1

    def _note_reserved(self, key: FunctionKey, reserved: ReservedConcurrency | None) -> None:
        if reserved is not None:
            self._reserved.setdefault((key.account, key.region), {})[key.name] = reserved.executions
        elif (of_region := self._reserved.get((key.account, key.region))) is not None:
            of_region.pop(key.name, None)

    def reserved(self, account: str, region: str) -> Mapping[str, int]:
        """Reserved concurrency by function name, of the functions that have one. Read by every invocation."""
        return self._reserved.get((account, region), _NOTHING)

    def _note_provisioned(self, key: FunctionKey, by_version: Mapping[str, int]) -> None:
        if by_version:
            self._provisioned.setdefault((key.account, key.region), {})[key.name] = by_version
        elif (of_region := self._provisioned.get((key.account, key.region))) is not None:
            of_region.pop(key.name, None)

    def provisioned(self, account: str, region: str) -> Mapping[str, Mapping[str, int]]:
        """Provisioned concurrency by function name and number of version. Read by every invocation."""
        return self._provisioned.get((account, region), _NONE_PROVISIONED)

    def provisioned_functions(self) -> Iterator[Function]:
        for (account, region), names in self._provisioned.items():
            yield from (self._regions[account, region][name] for name in names)

    def _forget_urls(self, function: Function | None) -> None:
        if function is not None:
            for config in function.all_attached(UrlConfig).values():
                self._urls.pop(config.url_id, None)

    def url(self, url_id: str) -> tuple[FunctionKey, str] | None:
        """Whose URL it is, and of which alias; "": of the function itself. Ids are unique over all accounts."""
        return self._urls.get(url_id)

    def get(self, key: FunctionKey) -> Function | None:
        region = self._regions.get((key.account, key.region))
        return None if region is None else region.get(key.name)

    def region(self, account: str, region: str) -> list[Function]:
        """All functions of an account in a region, by name."""
        functions = self._regions.get((account, region), {})
        return [functions[name] for name in sorted(functions)]

    def __iter__(self) -> Iterator[Function]:
        for region in self._regions.values():
            yield from region.values()

    def versions(self) -> Iterator[FunctionVersion]:
        """Every version of every function, and what still serves beside them."""
        for function in self:
            yield function.latest
            if function.serving is not None:
                yield function.serving
            yield from function.published.values()

    def packages(self) -> Iterator[str]:
        """Digests of all packages that a version names, and of what its layers are merged to."""
        return (digest for version in self.versions() for digest in version_packages(version))

    def code_of(self, account: str, region: str) -> Iterator[CodePackage]:
        for function in self.region(account, region):
            yield function.latest.code
            yield from (version.code for version in function.published.values())


def version_packages(version: FunctionVersion) -> Iterator[str]:
    yield version.code.sha256
    if version.layers:
        layers = [layer.code for layer in version.layers]
        yield from {opt_digest(layers) or "", *(layer.sha256 for layer in layers)}
