"""Whatever starts, dies, fails and runs short in whatever order: the stock keeps its bounds, nothing is given out
twice, nobody gets what is another account's, and in the end nothing is left."""

import asyncio
import logging
from dataclasses import dataclass, replace

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from lambent.environments.capacity import LOW_MEMORY
from lambent.environments.events import HowStarted
from lambent.environments.sandbox.ports import Preparation, SandboxError
from lambent.environments.stock import BLANK, Limits
from lambent.runtimes.layout import RuntimeStart
from lambent.testing.fake_sandbox import FakePrepared
from tests.unit.environments.kit import until
from tests.unit.environments.test_prewarm import PYTHON, InUse, Stock, spec

LIMITS = Limits(few=2, most=4, blanks=2, zygotes=2)


@dataclass(frozen=True)
class Start:
    account: str
    must_exec: bool
    count: int


@dataclass(frozen=True)
class Pass:
    seconds: float


@dataclass(frozen=True)
class Die:
    which: int


@dataclass(frozen=True)
class EndZygotes:
    pass


@dataclass(frozen=True)
class Memory:
    available: float


@dataclass(frozen=True)
class Functions:
    count: int


@dataclass(frozen=True)
class Busy:
    starting: int
    invoking: bool
    room: int


@dataclass(frozen=True)
class Fail:
    """Preparations and zygotes, from now on or not any more."""

    fails: bool


Step = Start | Pass | Die | EndZygotes | Memory | Functions | Busy | Fail
steps = st.one_of(
    st.builds(Start, st.sampled_from(["a", "b", "c"]), st.booleans(), st.integers(1, 6)),
    st.builds(Start, st.sampled_from(["a", "b", "c"]), st.just(False), st.integers(1, 6)),
    st.builds(Pass, st.sampled_from([0.0, 0.05, 1.0, 10.0, 90.0])),
    st.builds(Die, st.integers(0, 9)),
    st.just(EndZygotes()),
    st.builds(Memory, st.sampled_from([0.05, 0.15, 1.0])),
    st.builds(Functions, st.integers(0, 2)),
    st.builds(Busy, st.integers(0, 3), st.booleans(), st.integers(0, 5)),
    st.builds(Fail, st.booleans()),
)


def breakable(stock: Stock) -> list[bool]:
    """Makes the driver fail while the only element is True."""
    fails = [False]
    prepare, start_zygote = stock.driver.prepare, stock.driver.start_zygote

    async def preparing(wish: Preparation) -> FakePrepared:
        await asyncio.sleep(0)
        if fails[0]:
            raise SandboxError("no namespaces")
        if wish.zygote_of is not None:
            assert (wish.zygote_of, PYTHON.identifier) in stock.driver.zygotes
        return await prepare(wish)

    async def starting(account: str, runtime: RuntimeStart) -> None:
        await asyncio.sleep(0)
        if fails[0]:
            raise SandboxError("no place")
        await start_zygote(account, runtime)

    stock.driver.prepare = preparing  # type: ignore[method-assign]
    stock.driver.start_zygote = starting  # type: ignore[method-assign]
    return fails


async def start(stock: Stock, account: str, must_exec: bool) -> None:
    obtained = await stock.prewarm.obtain(spec(account=account, must_exec=must_exec))
    assert obtained.sandbox.spec.account == account  # type: ignore[attr-defined]
    assert not (must_exec and obtained.how is not HowStarted.EXECUTED)


@given(plan=st.lists(steps, min_size=3, max_size=25))
# Not shrunk: that would take minutes, and a plan has few steps.
@settings(max_examples=60, deadline=None, phases=(Phase.reuse, Phase.generate))
async def test_the_stock_keeps_its_bounds_and_leaves_nothing(plan: list[Step]) -> None:
    logging.disable(logging.CRITICAL)
    stock = Stock(LIMITS, InUse(1))
    fails = breakable(stock)
    async with stock:
        for step in plan:
            match step:
                case Start(account, must_exec, count):
                    await asyncio.gather(*(start(stock, account, must_exec) for _ in range(count)))
                case Pass(seconds):
                    await stock.clock.advance(seconds)
                case Die(which):
                    if stock.idle:
                        stock.idle[which % len(stock.idle)].die()
                        await stock.clock.advance(0.0)
                case EndZygotes():
                    stock.driver.zygotes.clear()
                case Memory(available):
                    stock.available = available
                case Functions(count):
                    stock.runtimes.functions = count
                case Busy(starting, invoking, room):
                    stock.traffic = replace(stock.traffic, starting=starting, invoking=invoking, room=room)
                case Fail(fail):
                    fails[0] = fail
            assert stock.waiting() <= LIMITS.most
            assert stock.waiting(BLANK) <= LIMITS.blanks
            assert stock.prewarm.zygotes <= LIMITS.zygotes
        # Once nothing is in its way any more, it has what it should have, and that alone.
        fails[0], stock.available = False, 1.0
        stock.traffic = replace(stock.traffic, starting=0, invoking=False, room=100)
        stock.runtimes.functions = 1
        stock.prewarm.deployed(PYTHON.identifier)
        await stock.clock.advance(700)
        await until(lambda: stock.waiting() == 1 and stock.waiting(BLANK) == 0 and len(stock.idle) == 1)
        assert stock.driver.zygotes == set()
        stock.available = LOW_MEMORY / 2
        await stock.clock.advance(10)
        assert stock.idle == []
    await until(lambda: stock.idle == [] and not stock.driver.zygotes)
    logging.disable(logging.NOTSET)
