"""A `Caller` that answers from a table, and remembers what it was asked."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lambent.aws.errors import ApiError, not_built
from lambent.aws.service import Parameters, Result, Source

Answer = Mapping[str, Any] | ApiError | Callable[[Parameters], Result]


@dataclass(frozen=True, slots=True)
class Asked:
    service: str
    operation: str
    parameters: Parameters
    account: str
    region: str
    principal: str
    source: Source | None = None
    trace_header: str | None = None


@dataclass(slots=True)
class ScriptedCaller:
    """`answers` by (service, operation): a result, an error to raise, or a function of the parameters."""

    answers: dict[tuple[str, str], Answer] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    async def call(
        self,
        service: str,
        operation: str,
        parameters: Parameters,
        *,
        account: str,
        region: str,
        principal: str,
        source: Source | None = None,
        trace_header: str | None = None,
    ) -> Result:
        self.asked.append(Asked(service, operation, parameters, account, region, principal, source, trace_header))
        answer = self.answers.get((service, operation))
        if answer is None:
            raise not_built(operation, f"{service} {operation}")
        if isinstance(answer, ApiError):
            raise answer
        return answer(parameters) if callable(answer) else answer
