"""Provisioned concurrency: a loop that keeps as many initialised environments of a version as are wanted.

Desired state is the control plane's; what there is, is counted from the environments themselves. An environment that
ends is replaced; a function whose Init fails is left alone until it is configured anew. Owns no invocation: a call that
finds no provisioned environment free is served by the pool as any other.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from lambent.aws.errors import ApiError, PlatformFault
from lambent.core import tasks
from lambent.environments.environment import Environment
from lambent.environments.pool import Pool
from lambent.environments.states import State
from lambent.functions.ports import Progress
from lambent.functions.provisioned import Wanted

INIT_FAILURE: Final = "FUNCTION_ERROR_INIT_FAILURE"
STARTS: Final = 4
"""Of one deployment at one time, so that calls which wait for a cold start get their turn."""
TRY_AGAIN_S: Final = 1.0
"""While there is no room on the machine and nobody makes any, or a sandbox could not be made."""


@dataclass(slots=True, eq=False)
class _Deployment:
    asked: datetime
    alive: set[Environment] = field(default_factory=set)
    """Those that are wanted."""
    ready: set[Environment] = field(default_factory=set)
    failure: str | None = None


class Provisioning:
    """Implements `functions.ports.Provisioner`. `run` is its loop."""

    def __init__(self, *, try_again_s: float = TRY_AGAIN_S) -> None:
        self._try_again_s = try_again_s
        self._deployments: dict[str, _Deployment] = {}
        self._changed = asyncio.Event()

    def progress(self, deployment_id: str) -> Progress:
        deployment = self._deployments.get(deployment_id)
        return Progress() if deployment is None else Progress(len(deployment.ready), deployment.failure)

    def changed(self) -> None:
        self._changed.set()

    async def run(self, pool: Pool, wanted: Callable[[], Mapping[str, Wanted]]) -> None:
        """Until cancelled. The first round is the recovery of what was wanted before a restart."""
        while True:
            self._changed.clear()
            complete = self._reconcile(pool, wanted())
            try:
                async with asyncio.timeout(None if complete else self._try_again_s):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _reconcile(self, pool: Pool, wanted: Mapping[str, Wanted]) -> bool:
        """False when something is missing that only time brings."""
        for deployment_id in self._deployments.keys() - wanted.keys():
            _lower(pool, self._deployments.pop(deployment_id), 0)
        complete = True
        for deployment_id, want in wanted.items():
            deployment = self._deployments.get(deployment_id)
            if deployment is None:
                deployment = self._deployments[deployment_id] = _Deployment(want.asked)
            if deployment.asked != want.asked:
                deployment.asked, deployment.failure = want.asked, None
            _lower(pool, deployment, want.executions)
            complete &= self._raise(pool, deployment, want)
        return complete

    def _raise(self, pool: Pool, deployment: _Deployment, want: Wanted) -> bool:
        if want.executions > pool.capacity:
            deployment.failure = f"This machine has room for {pool.capacity} execution environments."
        while len(deployment.alive) < want.executions and deployment.failure is None:
            if len(deployment.alive) - len(deployment.ready) >= STARTS:
                return True
            missing = want.executions - len(deployment.alive)
            environment = pool.provision(want.version, missing, self.changed)
            if environment is None:
                return False
            deployment.alive.add(environment)
            tasks.detach("provisioned environment", self._watch(pool, deployment, environment))
        return True

    async def _watch(self, pool: Pool, deployment: _Deployment, environment: Environment) -> None:
        """From the start of an environment to its end."""
        try:
            await asyncio.shield(environment.started)
        except ApiError as error:
            deployment.failure = error.message or error.code
        except PlatformFault:
            # Ours, and logged; the place of this environment stays taken for a while, so that we do not hurry.
            await asyncio.sleep(self._try_again_s)
        else:
            if environment.init_failed:
                deployment.failure = INIT_FAILURE
                environment.stop()
            elif environment in deployment.alive and environment.state is State.READY:
                deployment.ready.add(environment)
                pool.environment_ready(environment)
            else:
                environment.stop()
        self._changed.set()
        await asyncio.shield(environment.ended)
        deployment.alive.discard(environment)
        deployment.ready.discard(environment)
        self._changed.set()


def _lower(pool: Pool, deployment: _Deployment, executions: int) -> None:
    """Dismiss what is too much, what is not ready yet first."""
    surplus = len(deployment.alive) - executions
    for environment in sorted(deployment.alive, key=lambda each: each in deployment.ready)[: max(0, surplus)]:
        deployment.alive.discard(environment)
        deployment.ready.discard(environment)
        pool.dismiss(environment)
