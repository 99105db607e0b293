"""What is measured, in what unit, and what the target is. Data."""

from dataclasses import dataclass

LAMBENT = "Lambent"
BARE_PROCESS = "bare process"
BOOTSTRAP = "our bootstrap alone"
AWSLAMBDARIC = "awslambdaric alone"
BARE_SQLITE = "bare SQLite"
BARE_INVOKES = "as many bare invocations"


@dataclass(frozen=True, slots=True)
class Measure:
    name: str
    unit: str
    target: float | None = None
    more_is_better: bool = False

    def meets(self, value: float) -> bool | None:
        """None without a target."""
        if self.target is None:
            return None
        return value >= self.target if self.more_is_better else value <= self.target


WARM_P50 = Measure("warm invoke, 1 client, p50", "ms", 0.3)
WARM_P99 = Measure("warm invoke, 1 client, p99", "ms")
SMALL_P50 = Measure("warm invoke at 128 MB (7 % of a CPU), p50", "ms")
RATE = Measure("invocations/s, 8 clients", "1/s", 10_000, more_is_better=True)
RATE_P50 = Measure("latency at 8 clients, p50", "ms")
RATE_P99 = Measure("latency at 8 clients, p99", "ms", 5)
PRINT_RATE = Measure("the same with one printed line", "1/s", 7000, more_is_better=True)
ECHO_P50 = Measure("5 MB in and out, 1 client, p50", "ms", 40)
BESIDE_P99 = Measure("warm while a 50 MB package is created, p99", "ms", 10)
BESIDE_WORST = Measure("  the slowest", "ms")
LARGE_CREATE = Measure("  that creation to Active", "s")
COLD_P50 = Measure("cold start, pooled, p50", "ms", 8)
COLD_P99 = Measure("cold start, pooled, p99", "ms", 40)
FORK_P50 = Measure("cold start, forked, p50", "ms", 15)
FORK_P99 = Measure("cold start, forked, p99", "ms", 40)
EXEC_P50 = Measure("cold start, executed, p50", "ms", 40)
EXEC_P99 = Measure("cold start, executed, p99", "ms")
BURST = Measure("50 at once, 1 s each, the last answer", "s", 1.6)
MANY = Measure("1,000 new environments at 128 MB", "s", 10)
THAW = Measure("thaw before a warm invoke, p50", "ms", 0.2)
POOL_MEMORY = Measure("idle environment, pooled, cgroup", "MB", 6)
FORK_MEMORY = Measure("idle environment, forked, cgroup", "MB", 3)
EXEC_MEMORY = Measure("idle environment, executed, cgroup", "MB", 6)
POOL_USS = Measure("  pooled, USS with its first process", "MB")
FORK_USS = Measure("  forked, USS with its first process", "MB")
EXEC_USS = Measure("  executed, USS with its first process", "MB")
CREATE = Measure("create to Active, p50", "ms", 100)
READY = Measure("server start to ready", "s", 0.6)
FIRST_READY = Measure("first start to ready, empty data dir", "s", 0.6)
STOP = Measure("SIGTERM to exit, idle", "s")
IDLE_RSS = Measure("idle RSS, supervisor + launcher", "MB", 80)
FIRST_IDLE_RSS = Measure("the same after the first start", "MB", 80)
IDLE_SUPERVISOR_RSS = Measure("  supervisor", "MB")
IDLE_LAUNCHER_RSS = Measure("  launcher", "MB")
IDLE_OTHERS_RSS = Measure("  beside them: keeper of the way out, mostly the launcher's pages", "MB")
IDLE_PSS = Measure("idle PSS, all processes", "MB")
LOADED_RSS = Measure("supervisor RSS after the load", "MB")
CPU_PER_INVOKE = Measure("supervisor CPU per invocation, 8 clients", "us")
EVENTS_ACCEPTED = Measure("1,000 events accepted", "s", 0.5)
EVENTS_DONE = Measure("1,000 events accepted, executed and gone", "s", 1.0)
EVENTS_RATE = Measure("events accepted/s, 16 clients", "1/s", 2000, more_is_better=True)
EVENTS_CPU = Measure("supervisor CPU per event, accepted and executed", "us")
MAPPED_FAST = Measure("1,000 messages of SQS, batches of 10, processed and deleted", "s", 1.0)
MAPPED_SLOW = Measure("100 messages, batches of 5, 0.5 s each, processed and deleted", "s", 1.5)

ALL = (
    WARM_P50,
    WARM_P99,
    SMALL_P50,
    RATE,
    RATE_P50,
    RATE_P99,
    PRINT_RATE,
    CPU_PER_INVOKE,
    ECHO_P50,
    BESIDE_P99,
    BESIDE_WORST,
    LARGE_CREATE,
    COLD_P50,
    COLD_P99,
    FORK_P50,
    FORK_P99,
    EXEC_P50,
    EXEC_P99,
    BURST,
    MANY,
    THAW,
    EVENTS_ACCEPTED,
    EVENTS_DONE,
    EVENTS_RATE,
    EVENTS_CPU,
    MAPPED_FAST,
    MAPPED_SLOW,
    POOL_MEMORY,
    FORK_MEMORY,
    EXEC_MEMORY,
    POOL_USS,
    FORK_USS,
    EXEC_USS,
    CREATE,
    READY,
    FIRST_READY,
    STOP,
    IDLE_RSS,
    IDLE_SUPERVISOR_RSS,
    IDLE_LAUNCHER_RSS,
    IDLE_OTHERS_RSS,
    IDLE_PSS,
    FIRST_IDLE_RSS,
    LOADED_RSS,
)
