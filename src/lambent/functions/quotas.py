"""Limits as numbers, in one table. Defaults are AWS's; every one can be set by the user (docs/quotas.md).

A limit is read from here and nowhere else, by whoever enforces it. Refuses names that are no quota.
"""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from lambent.core.setting_values import Given, SettingsError


def number(default: int, meaning: str, *, low: int = 1, high: int | None = None) -> Any:
    """A quota: its default, what it limits (for docs/quotas.md and `lambent quotas`), and the values it may have.

    `high`: beyond it something else would refuse, so that the number would have no effect.
    """
    return field(default=default, metadata={"meaning": meaning, "low": low, "high": high})


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotas:
    concurrent_executions: int = number(1000, "Invocations at one time, in each account and region")
    min_unreserved_executions: int = number(
        100, "Concurrency that reservations must leave to the other functions", low=0
    )
    tenant_environments_per_1000: int = number(
        2500, "Environments of tenants, busy or idle, for each 1,000 of concurrency, in each account and region"
    )
    invocation_rate: int = number(
        10, "Synchronous invocations per second for each 1 of concurrency; 0: no such limit", low=0
    )
    environments_per_10_s: int = number(
        1000, "New environments of one function in 10 s, refilled continuously; 0: no such limit", low=0
    )
    min_timeout_s: int = number(1, "Timeout of a function, from", high=5400)
    max_timeout_s: int = number(900, "Timeout of a function, to", high=5400)
    min_memory_mb: int = number(128, "Memory of a function, from", high=32_768)
    max_memory_mb: int = number(10_240, "Memory of a function, to", high=32_768)
    min_ephemeral_storage_mb: int = number(512, "/tmp of a function, from", high=32_768)
    max_ephemeral_storage_mb: int = number(10_240, "/tmp of a function, to", high=32_768)
    max_name_length: int = number(64, "Characters of a function's name", high=64)
    max_variables_bytes: int = number(4096, "All environment variables of a function, as JSON", low=2)
    max_tags: int = number(50, "Tags of a resource", low=0)
    max_zipped_bytes: int = number(52_428_800, "Archive of code in a request", high=52_428_800)
    max_policy_bytes: int = number(
        20_480, "Resource policy of a function, version or alias, or layer version", high=20_480
    )
    max_unzipped_bytes: int = number(262_144_000, "Contents of an archive of code, and of a function with its layers")
    max_package_entries: int = number(
        65_535, "Files and folders of an archive; AWS publishes none, each is an inode here"
    )
    max_code_storage_bytes: int = number(80_530_636_800, "All code of an account in a region", low=0)
    max_payload_bytes: int = number(6_291_456, "Event of a synchronous invocation, body of a function URL", low=2)
    max_event_payload_bytes: int = number(1_048_576, "Event of an asynchronous invocation", low=2)
    max_invoke_async_bytes: int = number(262_144, "Event of the old operation InvokeAsync", low=2)
    max_response_bytes: int = number(6_291_556, "What a function returns", low=2, high=16_777_216)
    max_streamed_bytes: int = number(209_715_200, "What a function streams")
    stream_burst_bytes: int = number(6_291_456, "What a function streams as fast as it can, before it is slowed down")
    stream_bytes_per_s: int = number(2_097_152, "How fast a function streams after that, in each second")
    max_client_context_bytes: int = number(3583, "ClientContext of an invocation, in base64", low=0)
    init_limit_s: int = number(10, "Seconds that the Init phase may take before it is done again in the invocation")
    provisioned_init_limit_s: int = number(
        130, "The same with provisioned concurrency, or the function's Timeout when that is longer"
    )
    restore_limit_s: int = number(10, "Seconds that after-restore hooks may take")
    max_event_filters: int = number(5, "Filters of an event source mapping; AWS raises it to 10 on request", low=0)
    mappings_page_size: int = number(100, "Event source mappings on one page of a list")
    fifo_queue_calls_per_s: int = number(
        300,
        "Sends, receives and deletes of a FIFO queue in a second, each by itself, a batch being one; with"
        " `perMessageGroupId` sends of each group instead; 0: no such limit",
        low=0,
    )
    max_layers: int = number(5, "Layers of a function", low=0)
    page_size: int = number(50, "Entries of one page of a list")
    code_url_s: int = number(600, "Seconds for which the URL of a function's code is good")


SETTING_OF: Mapping[str, str] = {"concurrent_executions": "account_concurrency"}
"""Quotas that are settings of their own name, and are not set a second way."""


@dataclass(frozen=True, slots=True)
class Quota:
    """One row of the table."""

    name: str
    default: int
    meaning: str
    low: int
    high: int | None

    @property
    def range(self) -> str:
        return f"of {self.low} or more" if self.high is None else f"from {self.low} to {self.high}"

    def allows(self, value: int) -> bool:
        return self.low <= value and (self.high is None or value <= self.high)


def table() -> Iterator[Quota]:
    for each in fields(Quotas):
        assert isinstance(each.default, int)
        yield Quota(each.name, each.default, **each.metadata)


def configured(given: Mapping[str, Given], account_concurrency: int) -> Quotas:
    """The quotas in force: `given` by name, the defaults of AWS otherwise. Raises `SettingsError`."""
    known = {quota.name: quota for quota in table()}
    values = {"concurrent_executions": account_concurrency}
    for name, (value, place) in given.items():
        if name in SETTING_OF:
            raise SettingsError(f"{place}: {name} is set by {SETTING_OF[name]}")
        if name not in known:
            near = difflib.get_close_matches(name, known, 1, cutoff=0.6)
            perhaps = f"did you mean {near[0]}?" if near else "`lambent quotas` lists them"
            raise SettingsError(f"{place}: unknown quota '{name}'; {perhaps}")
        if not known[name].allows(value):
            raise SettingsError(f"{place}: {name} must be a whole number {known[name].range}, not {value}")
        values[name] = value
    return Quotas(**values)
