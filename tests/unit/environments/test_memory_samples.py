"""When the memory of functions that work is looked at."""

from lambent.environments.memory_samples import MemorySamples, pause_s
from lambent.testing.manual_clock import ManualClock


async def test_who_works_for_long_is_looked_at_more_and_more_rarely() -> None:
    assert [pause_s(age_s) for age_s in (0.0, 0.1, 1.0, 60.0)] == [0.05, 0.05, 0.2, 1.0]


async def test_all_are_looked_at_until_they_end() -> None:
    clock, looked = ManualClock(), []
    samples = MemorySamples(clock)

    def first() -> None:
        looked.append("first")

    def second() -> None:
        looked.append("second")

    samples.begin(first, clock.monotonic())
    await clock.advance(0.04)
    samples.begin(second, clock.monotonic())
    await clock.advance(0.07)
    assert sorted(set(looked)) == ["first", "second"]
    samples.end(first)
    samples.end(first)
    looked.clear()
    await clock.advance(1)
    assert set(looked) == {"second"}
    samples.end(second)
    looked.clear()
    await clock.advance(1)
    assert not looked


async def test_after_a_rest_it_looks_again() -> None:
    clock, looked = ManualClock(), []
    samples = MemorySamples(clock)

    def look() -> None:
        looked.append(clock.monotonic())

    for _ in range(2):
        samples.begin(look, clock.monotonic())
        await clock.advance(0.06)
        samples.end(look)
        await clock.advance(60)
    assert len(looked) == 2
