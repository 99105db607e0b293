"""The decision how many sandboxes wait prepared: bounded, sparing, and never in the way."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from lambent.environments import stock
from lambent.environments.capacity import LOW_MEMORY
from lambent.environments.stock import BLANK, Limits, Rate, Stats, Use, ZygoteKey, decide, zygote_to_replace

NOW = 10_000.0
KINDS = ("python3.12", "python3.13", BLANK)
times = st.floats(min_value=0.0, max_value=NOW)
small = st.integers(min_value=0, max_value=40)
uses = st.builds(
    Use,
    functions=small,
    used_at=st.none() | times,
    rate=st.builds(Rate, st.floats(min_value=0.0, max_value=500.0), times),
    ready=small,
    preparing=small,
)
zygotes = st.dictionaries(st.builds(ZygoteKey, st.sampled_from(["a", "b", "c"]), st.sampled_from(KINDS[:2])), times)
stats = st.builds(
    Stats,
    uses=st.dictionaries(st.sampled_from(KINDS), uses),
    zygotes=zygotes,
    available_memory=st.floats(min_value=0.0, max_value=1.0),
    room=st.integers(min_value=0, max_value=60),
    invoking=st.booleans(),
    starting=small,
    waiting=small,
    cpus=st.integers(min_value=1, max_value=64),
    prepared_at=times,
    prepare_s=st.floats(min_value=0.0, max_value=2.0),
)
limits = st.sampled_from([Limits(), stock.OFF, stock.limits("0", 2), stock.limits("3", 2), stock.limits("auto", 2)])


@given(stats, limits)
def test_the_stock_stays_within_the_limits_and_the_room(seen: Stats, allowed: Limits) -> None:
    wanted = decide(NOW, seen, allowed).wanted
    assert wanted.keys() == seen.uses.keys()
    assert sum(wanted.values()) <= seen.room
    for kind, count in wanted.items():
        assert 0 <= count <= (allowed.blanks if kind == BLANK else allowed.most)


@given(stats, limits)
def test_nothing_is_prepared_for_a_runtime_that_no_function_names(seen: Stats, allowed: Limits) -> None:
    unnamed = replace(seen, uses={kind: replace(use, functions=0) for kind, use in seen.uses.items()})
    wanted = decide(NOW, unnamed, allowed).wanted
    assert all(count == 0 for kind, count in wanted.items() if kind != BLANK)


@given(stats, limits)
def test_without_memory_there_is_no_stock_and_no_zygote(seen: Stats, allowed: Limits) -> None:
    decision = decide(NOW, replace(seen, available_memory=LOW_MEMORY / 2), allowed)
    assert not any(decision.wanted.values())
    assert decision.end_zygotes == seen.zygotes.keys()
    assert zygote_to_replace(NOW, seen.zygotes, LOW_MEMORY / 2, allowed) == (False, None)


@given(stats, limits, st.floats(min_value=0.0, max_value=1.0))
def test_less_memory_never_means_more(seen: Stats, allowed: Limits, less: float) -> None:
    poorer = replace(seen, available_memory=seen.available_memory * less)
    before, after = decide(NOW, seen, allowed), decide(NOW, poorer, allowed)
    assert sum(after.wanted.values()) <= sum(before.wanted.values())
    assert before.end_zygotes <= after.end_zygotes


@given(stats, limits, st.sampled_from(KINDS))
def test_a_cold_start_never_makes_the_stock_of_its_kind_smaller(seen: Stats, allowed: Limits, kind: str) -> None:
    use = replace(seen.uses.get(kind, Use()), functions=1)
    before = decide(NOW, replace(seen, uses={kind: use}), allowed).wanted[kind]
    after = decide(NOW, replace(seen, uses={kind: use.seen(NOW)}), allowed).wanted[kind]
    assert after >= before


@given(stats, limits)
def test_a_stock_that_is_full_prepares_nothing(seen: Stats, allowed: Limits) -> None:
    wanted = decide(NOW, seen, allowed).wanted
    full = {kind: replace(use, ready=wanted[kind], preparing=0) for kind, use in seen.uses.items()}
    assert decide(NOW, replace(seen, uses=full), allowed).at_once == 0


@given(stats, limits)
def test_while_something_runs_one_is_prepared_at_a_time(seen: Stats, allowed: Limits) -> None:
    assert decide(NOW, replace(seen, invoking=True), allowed).at_once <= 1
    assert decide(NOW, replace(seen, starting=1), allowed).at_once <= 1


@given(stats, limits)
def test_what_holds_back_says_when_to_ask_again_and_it_ends(seen: Stats, allowed: Limits) -> None:
    now, decision = NOW, decide(NOW, seen, allowed)
    for _ in range(100):
        if decision.again_in_s is None or decision.at_once:
            break
        assert decision.again_in_s >= 0
        left = {key: used for key, used in seen.zygotes.items() if key not in decision.end_zygotes}
        seen = replace(seen, zygotes=left)
        now += decision.again_in_s + 1e-6
        decision = decide(now, seen, allowed)
    else:
        raise AssertionError("it holds back for ever")


@given(zygotes, limits)
def test_a_zygote_gives_way_only_at_the_limit_and_the_one_used_longest_ago_goes(
    held: dict[ZygoteKey, float], allowed: Limits
) -> None:
    may, gone = zygote_to_replace(NOW, held, 1.0, allowed)
    assert may or len(held) >= allowed.zygotes
    if gone is not None:
        assert held[gone] == min(held.values())
        assert len(held) >= allowed.zygotes


@given(times, st.integers(min_value=1, max_value=100), st.floats(min_value=0.01, max_value=10.0))
def test_a_steady_stream_is_measured_as_its_rate(start: float, per_s: int, seconds: float) -> None:
    rate = Rate()
    for number in range(int(per_s * 120)):
        rate = rate.with_one_more(start + number / per_s)
    assert abs(rate.after(start + 120) - per_s) <= 0.1 * per_s + 0.1
    assert rate.after(start + 120 + seconds) < rate.after(start + 120)


@given(stats, limits)
def test_a_burst_is_forgotten(seen: Stats, allowed: Limits) -> None:
    wanted = decide(NOW + 3600, replace(seen, available_memory=1.0), allowed).wanted
    assert all(count <= 1 for count in wanted.values())
