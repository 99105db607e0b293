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


def test_slowness_of_a_machine_whose_cpus_are_taken_is_no_reason_for_more() -> None:
    ramp = Ramp()
    ramp.look(0.0)
    for number in range(1, 20):
        ramp.look(number * LOOK_EVERY_S, cpus_are_taken=True)
    assert ramp.allowed == FIRST
    assert ramp.due(20 * LOOK_EVERY_S)
    ramp.look(20 * LOOK_EVERY_S)
    assert ramp.allowed == 2 * FIRST
    assert not ramp.due(20.5 * LOOK_EVERY_S)


def test_an_increase_that_made_more_finish_is_followed_by_another_also_then() -> None:
    ramp = Ramp()
    ramp.look(0.0)
    ramp.finished = 200
    ramp.look(LOOK_EVERY_S, cpus_are_taken=True)
    assert ramp.allowed == 2 * FIRST
