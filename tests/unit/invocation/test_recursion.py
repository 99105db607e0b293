"""When a recursive loop is stopped, and what is counted of it."""

import pytest

from lambent.aws.errors import ApiError
from lambent.functions.records import Attachment, AttachmentKey, Function, FunctionKey, RecursionConfig
from lambent.invocation.metrics import Metrics
from lambent.invocation.recursion import MAX_INVOCATIONS, LoopDetection, is_loop
from lambent.invocation.trace import outgoing
from tests.unit.environments.kit import function_version

VERSION = function_version()


@pytest.mark.parametrize(
    ("invocations", "config", "expected"),
    [
        (15, None, False),
        (16, None, True),
        (17, RecursionConfig(allowed=False), True),
        (1000, RecursionConfig(allowed=True), False),
    ],
)
def test_the_seventeenth_invocation_is_refused_unless_loops_are_allowed(
    invocations: int, config: RecursionConfig | None, expected: bool
) -> None:
    assert is_loop(invocations, config) is expected


class OneFunction:
    def __init__(self, config: RecursionConfig | None = None) -> None:
        attached: dict[AttachmentKey, Attachment] = {}
        if config is not None:
            attached[RecursionConfig, ""] = config
        self.function = Function(latest=VERSION, attachments=attached)

    def get(self, key: FunctionKey) -> Function | None:
        return self.function if key == VERSION.key else None


def chain(length: int) -> str | None:
    """The header after so many invocations of the function, with another one between each two."""
    header: str | None = None
    for _ in range(length):
        header = outgoing(header, epoch_ms=0, function_arn=VERSION.function_arn)
        header = outgoing(header, epoch_ms=0, function_arn=f"{VERSION.function_arn}-other")
    return header


def test_a_loop_is_refused_and_counted() -> None:
    metrics = Metrics()
    loops = LoopDetection(OneFunction(), metrics)
    for length in (0, 1, MAX_INVOCATIONS - 1):
        loops.check(VERSION, VERSION.function_arn, chain(length))
    assert "RecursiveInvocationsDropped" not in metrics.totals()
    with pytest.raises(ApiError) as refused:
        loops.check(VERSION, VERSION.function_arn, chain(MAX_INVOCATIONS))
    assert refused.value.code == "RecursiveInvocationException"
    assert metrics.totals()["RecursiveInvocationsDropped"].sum == 1


def test_a_function_whose_loops_are_allowed_goes_on() -> None:
    loops = LoopDetection(OneFunction(RecursionConfig(allowed=True)))
    loops.check(VERSION, VERSION.function_arn, chain(100))
