"""How long and how often. Every loop of the benchmarks is bounded by one of these."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    rounds: int = 3
    seconds: float = 4.0
    """Of each warm measurement."""
    cold_functions: int = 40
    """Cold starts per round and origin, each of a function that was never invoked."""
    pause_s: float = 0.05
    """Quiet time before each cold start: in a tight loop the kernel's grace periods are already paid for."""
    burst: int = 50
    many: int = 1_000
    """New environments of one function; 0 leaves the measure out."""
    idle_s: float = 1.5
    """Quiet time before the memory of an idle server is read."""
    warmup: int = 300


QUICK = Plan(rounds=1, seconds=1.0, cold_functions=8, many=0, idle_s=1.0)
