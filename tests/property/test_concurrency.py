"""Whatever is leased, released and reserved in whatever order, the numbers are those of the leases that exist."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.aws.errors import ApiError
from lambent.functions.records import FunctionKey
from lambent.invocation.concurrency import ACCOUNT_FULL, RESERVED_FULL, Concurrency, Lease

NAMES = ("a", "b", "c")
PLACE = ("000000000000", "us-east-1")


@dataclass
class Table:
    numbers: dict[str, int] = field(default_factory=dict)

    def reserved(self, account: str, region: str) -> dict[str, int]:
        return self.numbers


steps = st.one_of(
    st.tuples(st.just("lease"), st.sampled_from(NAMES)),
    st.tuples(st.just("lease"), st.sampled_from(NAMES)),
    st.tuples(st.just("release"), st.integers(0, 20)),
    st.tuples(st.just("reserve"), st.sampled_from(NAMES), st.none() | st.integers(0, 3)),
)


@given(plan=st.lists(steps, max_size=60), limit=st.integers(0, 8))
def test_leases_are_counted_where_they_belong(plan: list[tuple[object, ...]], limit: int) -> None:
    table = Table()
    concurrency = Concurrency(limit, table)
    held: list[tuple[str, Lease]] = []
    for step in plan:
        match step:
            case ("lease", str(name)):
                expected = refusal(table, held, name, limit)
                if expected is None:
                    held.append((name, concurrency.lease(*PLACE, name)))
                else:
                    with pytest.raises(ApiError) as refused:
                        concurrency.lease(*PLACE, name)
                    assert refused.value.members["Reason"] == expected
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


def refusal(table: Table, held: list[tuple[str, Lease]], name: str, limit: int) -> str | None:
    """The rule of AWS, in the longest way."""
    if name in table.numbers:
        own = sum(1 for other, _ in held if other == name)
        return RESERVED_FULL if own >= table.numbers[name] else None
    shared = sum(1 for other, _ in held if other not in table.numbers)
    return ACCOUNT_FULL if shared >= limit - sum(table.numbers.values()) else None
