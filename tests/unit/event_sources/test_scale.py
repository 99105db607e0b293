"""How many batches run at one time, and whose turn it is."""

from hypothesis import given
from hypothesis import strategies as st

from lambent.event_sources.backoff import batch_pause_s, needs_holding, source_pause_s
from lambent.event_sources.records import Pollers, Settings
from lambent.event_sources.scale import Scale, range_of
from lambent.event_sources.turns import Turns, may_begin


def test_five_at_first_then_more_for_slow_functions_up_to_300_a_minute() -> None:
    scale = Scale.of(Settings(batch_size=10))
    assert scale.allowed == 5
    seen = []
    for step in range(240):
        scale.look(step * 0.25)
        seen.append(scale.allowed)
    assert seen[:4] == [5, 10, 20, 40]
    assert max(seen[:239]) == 305
    for step in range(240, 3000):
        scale.look(step * 0.25)
    assert scale.allowed == 1250


def test_quick_functions_get_no_more() -> None:
    scale = Scale.of(Settings(batch_size=10))
    for step in range(40):
        for _ in range(20):
            scale.succeeded()
        scale.look(step * 0.25)
    assert scale.allowed == 5


def test_failures_and_throttles_take_away_and_success_brings_back_the_first() -> None:
    scale = Scale.of(Settings(batch_size=10))
    for _ in range(10):
        scale.failed()
    assert scale.allowed == 1
    scale.throttled()
    assert scale.allowed == 1
    for _ in range(10):
        scale.succeeded()
    assert scale.allowed == 5


def test_an_empty_queue_brings_the_number_back() -> None:
    scale = Scale.of(Settings(batch_size=10))
    for step in range(20):
        scale.look(step * 0.25)
    high = scale.allowed
    scale.empty(running=high)
    assert scale.allowed == high
    for _ in range(20):
        scale.empty(running=0)
    assert scale.allowed == 5


def test_maximum_concurrency_is_the_ceiling() -> None:
    scale = Scale.of(Settings(batch_size=10, maximum_concurrency=2))
    for step in range(100):
        scale.look(step * 0.25)
        assert scale.allowed == 2


def test_provisioned_pollers_have_ten_batches_each_and_keep_their_minimum() -> None:
    settings = Settings(batch_size=10, pollers=Pollers(2, 3))
    assert (range_of(settings).first, range_of(settings).ceiling) == (20, 30)
    scale = Scale.of(settings)
    for _ in range(20):
        scale.throttled()
    assert scale.allowed == 20


def test_provisioned_pollers_come_and_go_whole_and_a_hundred_in_a_minute() -> None:
    scale = Scale.of(Settings(batch_size=10, pollers=Pollers(2, 10_000)))
    seen = []
    for step in range(200):
        scale.look(step * 0.25)
        seen.append(scale.pollers)
        assert scale.allowed == 10 * scale.pollers
    assert (seen[0], seen[1], seen[2], seen[-1]) == (2, 4, 8, 102)
    scale.failed()
    assert scale.pollers == 76
    scale.empty(running=11)
    assert scale.pollers == 38
    for _ in range(6):
        scale.empty(running=21)
    assert scale.pollers == 3
    scale.empty(running=0)
    assert scale.pollers == 2


def test_pauses_grow_and_end_before_others_see_the_messages() -> None:
    assert [source_pause_s(tries) for tries in (1, 2, 3, 100)] == [0.5, 1.0, 2.0, 30.0]
    assert batch_pause_s(1, 30.0, 0.0) == 0.1
    assert batch_pause_s(5, 30.0, 29.0) is None
    assert not needs_holding(30.0, 30.0, 30.0, 0.1)
    assert needs_holding(30.0, 30.0, 30.0, 15.0)
    assert not needs_holding(30.0, 30.0, 3.0, 15.0)


@given(own=st.integers(0, 100), others=st.integers(0, 100), budget=st.integers(1, 100), active=st.integers(1, 20))
def test_a_mapping_without_batches_always_begins_and_none_takes_everything(
    own: int, others: int, budget: int, active: int
) -> None:
    may = may_begin(own, own + others, budget, active)
    if own == 0:
        assert may
    if may and own:
        assert own + others < budget
        assert own < max(1, budget - budget // 8)


def test_who_was_refused_is_woken_when_somebody_ends() -> None:
    turns = Turns(8)
    woken: list[str] = []
    busy, other = turns.join(lambda: woken.append("busy")), turns.join(lambda: woken.append("other"))
    while busy.may_begin(0):
        busy.begin()
    assert busy.running == 7
    assert other.may_begin(0)
    other.begin()
    assert not other.may_begin(0)
    busy.end()
    assert sorted(woken) == ["busy", "other"]
    assert other.may_begin(0)
    other.leave()
