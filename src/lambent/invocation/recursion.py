"""Recursive loops: the next invocation of a function that its own chain has invoked 16 times already is refused.

The decision is a function of a count and of the function's configuration; the count comes with the trace header, see
`trace`. A chain is what SDKs carry on by that header: what a function calls without it begins a new one.
"""

from typing import Final, Protocol

from lambent.aws.errors import ApiError
from lambent.functions.records import Function, FunctionKey, FunctionVersion, RecursionConfig
from lambent.invocation import trace
from lambent.invocation.metrics import Metrics, qualifier_of

MAX_INVOCATIONS: Final = 16
"""Of one function in one chain."""
STOPPED: Final = (
    "Lambda has detected your function being invoked in a recursive loop with other Amazon Web Services resources"
    " and stopped your function's invocation."
)


def is_loop(invocations: int, config: RecursionConfig | None) -> bool:
    """Whether one more invocation is refused, after so many in its chain. None: never configured."""
    return invocations >= MAX_INVOCATIONS and (config is None or not config.allowed)


class Functions(Protocol):
    """The read model."""

    def get(self, key: FunctionKey) -> Function | None: ...


class LoopDetection:
    """Asked before each invocation that somebody calls for; what it stops is counted here."""

    def __init__(self, functions: Functions, metrics: Metrics | None = None) -> None:
        self._functions = functions
        self._metrics = metrics or Metrics()

    def check(self, version: FunctionVersion, invoked_arn: str, received: str | None) -> None:
        """`received`: the trace header of who calls. Raises RecursiveInvocationException."""
        # Callers outside of functions send none, and there are more of them.
        if received is not None and self.stops(version, invoked_arn, received):
            raise ApiError("RecursiveInvocationException", STOPPED)

    def stops(self, version: FunctionVersion, invoked_arn: str, received: str) -> bool:
        invocations = trace.invocations(received, version.function_arn)
        if invocations < MAX_INVOCATIONS:
            return False
        function = self._functions.get(version.key)
        if not is_loop(invocations, None if function is None else function.attached(RecursionConfig)):
            return False
        qualifier = qualifier_of(invoked_arn)
        self._metrics.count(version.key, "RecursiveInvocationsDropped", qualifier=qualifier, version=version.version)
        return True
