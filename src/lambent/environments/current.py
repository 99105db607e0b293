"""The invocation that an environment runs: what was asked, until when, and how far it has come."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from lambent.environments.request import InvokeRequest, InvokeResult
from lambent.environments.runtime_api import Answer


@dataclass(slots=True)
class Current:
    """Made by `invoke`, dropped once END and REPORT are written."""

    request: InvokeRequest
    result: asyncio.Future[InvokeResult]
    on_end: Callable[[], None]
    started: float
    deadline: float
    answer: Answer | None = None
    answered: float | None = None
    ended: float | None = None
    """When the runtime asked for the next one."""
    runtime_done: bool = False
    """Its end is written already: extensions were still at work then."""
