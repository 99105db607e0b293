"""What `/_lambent/metrics` says, in the words of Prometheus."""

import asyncio

import pytest

from lambent import metrics
from lambent.aws.errors import ApiError
from lambent.testing.scripted_runtime import Echo, Next, Respond, WaitFor
from tests.unit.environments.kit import Machine, function_version, until, within


async def test_environments_throttles_and_cold_starts_are_counted() -> None:
    go_on = asyncio.Event()
    async with Machine(((Next(), WaitFor(go_on), Respond(b"1"), Echo()),), account_limit=1) as machine:
        running = asyncio.create_task(machine.invoke())
        await until(lambda: any(line.startswith("START") for line in machine.log.lines))
        with pytest.raises(ApiError):
            await machine.invoke()
        lines = metrics.render(machine.pool, machine.concurrency, machine.metrics).splitlines()
        assert 'lambent_environments{state="busy"} 1' in lines
        assert 'lambent_environments{state="ready"} 0' in lines
        assert 'lambent_throttles_total{reason="ConcurrentInvocationLimitExceeded"} 1' in lines
        assert 'lambent_cold_start_causes_total{cause="first"} 1' in lines
        assert 'lambent_cold_start_seconds_count{runtime="python3.12",how="executed"} 1' in lines
        assert 'lambent_cold_start_seconds_bucket{runtime="python3.12",how="executed",le="+Inf"} 1' in lines
        go_on.set()
        await within(running)


async def test_every_metric_is_explained_once_and_no_function_is_named() -> None:
    async with Machine() as machine:
        for deployment in ("a", "b"):
            await machine.invoke(version=function_version(name="a-secret-name", deployment_id=deployment))
        text = metrics.render(machine.pool, machine.concurrency, machine.metrics)
        explained = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
        assert len(explained) == len(set(explained))
        assert "a-secret-name" not in text
        assert text.endswith("\n")


async def test_the_buckets_of_a_histogram_add_up() -> None:
    async with Machine() as machine:
        for number in range(3):
            await machine.invoke(version=function_version(deployment_id=str(number)))
        lines = metrics.render(machine.pool, machine.concurrency, machine.metrics).splitlines()
        counts = [int(line.split()[1]) for line in lines if line.startswith("lambent_cold_start_seconds_bucket")]
        assert counts == sorted(counts)
        assert counts[-1] == 3


def test_a_label_cannot_break_out_of_its_quotes() -> None:
    assert list(metrics.family("n", "gauge", "h", [({"a": 'x"\\\n'}, 1.0)]))[2] == 'n{a="x\\"\\\\\\n"} 1'
