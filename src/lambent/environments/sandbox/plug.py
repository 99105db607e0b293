"""The connection of a sandbox with its network, which the launcher makes while the sandbox is made or assigned.

Functions outside a VPC run without, and are told why; one in a VPC does not start.
"""

import asyncio

from lambent.aws.errors import ApiError
from lambent.environments.sandbox.channel import Channel
from lambent.environments.sandbox.ports import SandboxError, SandboxSpec
from lambent.launcher.client import LauncherClient
from lambent.launcher.wire import EGRESS_STARTING, NO_ADDRESS, Message

_NO_ADDRESS = (
    "Lambda was not able to set up VPC access for the Lambda function because one or more configured subnets has no"
    " available IP addresses."
)
_TIMEOUT_S = 10.0
_WAY_OUT_S, _LOOK_EVERY_S = 1.0, 0.004


def plug(
    launcher: LauncherClient, channel: Channel, number: int, spec: SandboxSpec
) -> "asyncio.Future[Message] | None":
    """Ask for the network of a sandbox before its assignment: launcher and sandbox then work at the same time."""
    network = spec.network
    if network is None or network.kind == "none" or (network.kind == "internet" and launcher.no_egress):
        return None
    answer = channel.expect_plug()
    launcher.plug(number, network.as_json())
    return answer


async def _way_out(launcher: LauncherClient) -> str | None:
    """Why there is none. It starts with the first sandbox that wants it, which waits for that."""
    for _ in range(round(_WAY_OUT_S / _LOOK_EVERY_S)):
        if launcher.egress_problem() != EGRESS_STARTING:
            break
        await asyncio.sleep(_LOOK_EVERY_S)
    problem = launcher.egress_problem()
    return None if problem == EGRESS_STARTING else problem


async def plugged(answer: "asyncio.Future[Message]", spec: SandboxSpec, launcher: LauncherClient) -> str | None:
    """Why it has no network: None when it has. A function in a VPC does not start without."""
    async with asyncio.timeout(_TIMEOUT_S):
        message = await answer
    kind = "none" if spec.network is None else spec.network.kind
    if message["event"] == "plugged":
        # The router may be without a way out for now.
        return await _way_out(launcher) if kind == "internet" else None
    if kind == "none":
        raise SandboxError(f"it cannot be taken out of its network: {message['reason']}")
    if spec.network is not None and kind == "vpc":
        if message["kind"] == NO_ADDRESS:
            raise ApiError("SubnetIPAddressLimitReachedException", _NO_ADDRESS, status=502)
        raise SandboxError(f"the network of {spec.network.vpc_id} cannot be had: {message['reason']}")
    return str(message["reason"])
