"""How many events of one function run at one time: few short ones, many that wait."""

from lambent.store.ramp import FIRST, LOOK_EVERY_S, Ramp


def after(ramp: Ramp, *per_look: int) -> list[int]:
    """What is allowed after each look, when so many have finished since the one before."""
    ramp.look(0.0)
    found = []
    for number, finished in enumerate(per_look, start=1):
        ramp.finished += finished
        ramp.look(number * LOOK_EVERY_S)
        found.append(ramp.allowed)
    return found


def test_events_that_take_long_get_more_and_more() -> None:
    assert after(Ramp(), 0, 2, 0) == [2 * FIRST, 4 * FIRST, 8 * FIRST]


def test_short_events_get_more_only_while_that_makes_them_faster() -> None:
    assert after(Ramp(), 200, 210, 212, 205) == [2 * FIRST] * 4
    assert after(Ramp(), 200, 390, 400) == [2 * FIRST, 4 * FIRST, 4 * FIRST]


def test_a_look_too_early_changes_nothing() -> None:
    ramp = Ramp()
    for at in range(10):
        ramp.look(at * LOOK_EVERY_S / 10)
    assert ramp.allowed == FIRST
