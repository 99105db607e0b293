"""Whatever is leased, released, reserved or provisioned, the numbers are those of the leases that exist."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.aws.errors import ApiError
from lambent.functions.records import FunctionKey
from lambent.invocation.concurrency import ACCOUNT_FULL, RESERVED_FULL, Concurrency
from lambent.invocation.leases import Lease
from tests.unit.environments.kit import function_version

NAMES = ("a", "b", "c")
VERSIONS = ("$LATEST", "1", "2")
PLACE = ("000000000000", "us-east-1")


@dataclass
class Table:
    numbers: dict[str, int] = field(default_factory=dict)
    versions: dict[str, dict[str, int]] = field(default_factory=dict)

    def reserved(self, account: str, region: str) -> dict[str, int]:
        return self.numbers

    def provisioned(self, account: str, region: str) -> dict[str, dict[str, int]]:
        return self.versions


steps = st.one_of(
    st.tuples(st.just("lease"), st.sampled_from(NAMES), st.sampled_from(VERSIONS)),
    st.tuples(st.just("lease"), st.sampled_from(NAMES), st.sampled_from(VERSIONS)),
    st.tuples(st.just("release"), st.integers(0, 20)),
    st.tuples(st.just("reserve"), st.sampled_from(NAMES), st.none() | st.integers(0, 3)),
    st.tuples(st.just("provision"), st.sampled_from(NAMES), st.sampled_from(VERSIONS[1:]), st.integers(0, 2)),
)


@given(plan=st.lists(steps, max_size=60), limit=st.integers(0, 8))
def test_leases_are_counted_where_they_belong(plan: list[tuple[object, ...]], limit: int) -> None:
    table = Table()
    concurrency = Concurrency(limit, table, rate=0)
    held: list[tuple[str, Lease]] = []
    lease: Lease
    for step in plan:
        match step:
            case ("lease", str(name), str(version)):
                expected = refusal(table, held, name, version, limit)
                if expected is None:
                    lease = concurrency.lease(function_version(name=name, version=version))
                    assert (lease.provisioned_version == version) == is_set_aside(table, held, name, version)
                    held.append((name, lease))
                else:
                    with pytest.raises(ApiError) as refused:
                        concurrency.lease(function_version(name=name, version=version))
                    assert refused.value.members["Reason"] == expected
            case ("provision", str(name), str(version), int(number)):
                table.versions.setdefault(name, {})[version] = number
                table.versions = {
                    other: kept
                    for other, versions in table.versions.items()
                    if (kept := {key: value for key, value in versions.items() if value})
                }
            case ("release", int(which)) if held:
                _, lease = held.pop(which % len(held))
                lease.release()
                lease.release()
            case ("reserve", str(name), None):
                table.numbers.pop(name, None)
            case ("reserve", str(name), int(number)):
                table.numbers[name] = number
            case _:
                pass
        assert concurrency.in_use(*PLACE) == len(held)
        for name in NAMES:
            assert concurrency.in_use_by(FunctionKey(*PLACE, name)) == sum(1 for other, _ in held if other == name)
    for _, lease in held:
        lease.release()
    assert concurrency.in_use(*PLACE) == 0
    assert not concurrency._held.get(PLACE) or not concurrency._held[PLACE].by_function


def is_set_aside(table: Table, held: list[tuple[str, Lease]], name: str, version: str) -> bool:
    used = sum(1 for other, lease in held if (other, lease.provisioned_version) == (name, version))
    return used < table.versions.get(name, {}).get(version, 0)


def refusal(table: Table, held: list[tuple[str, Lease]], name: str, version: str, limit: int) -> str | None:
    """The rule of AWS, in the longest way."""
    if is_set_aside(table, held, name, version):
        return None
    on_demand = [other for other, lease in held if lease.provisioned_version is None]
    provisioned = {other: sum(versions.values()) for other, versions in table.versions.items()}
    if name in table.numbers:
        own = table.numbers[name] - provisioned.get(name, 0)
        return RESERVED_FULL if on_demand.count(name) >= own else None
    shared = limit - sum((provisioned | table.numbers).values())
    used = sum(1 for other in on_demand if other not in table.numbers)
    return ACCOUNT_FULL if used >= shared else None
