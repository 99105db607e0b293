"""What moto's process may have the server do: which operations, on behalf of which services. Answers its calls.

What functions send gets into that process, so nothing that it asks for is taken on trust: only these operations, only
by these services of AWS or by a role of the account, and the policies of queues and functions are asked as ever.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Set
from typing import Any, Final

import msgspec

from lambent.aws.caller import Caller
from lambent.aws.errors import ApiError, PlatformFault
from lambent.aws.outside import REPLY_BYTES
from lambent.aws.service import Result, Source
from lambent.services.neighbours import frames

CALL_S: Final = 45.0
SNS: Final = "sns.amazonaws.com"
EVENTS: Final = "events.amazonaws.com"
CARRIED: Final[Mapping[str, frozenset[tuple[str, str]]]] = {
    SNS: frozenset({("sqs", "SendMessage"), ("lambda", "Invoke")}),
    EVENTS: frozenset(
        {
            *(("sqs", "SendMessage"), ("lambda", "Invoke"), ("sns", "Publish")),
            *(("logs", "CreateLogStream"), ("logs", "PutLogEvents")),
        }
    ),
}
"""By the service of AWS that calls."""
OWN: Final = frozenset({("s3", name) for name in ("HeadBucket", "GetObject", "PutObject", "ListObjectsV2")})
"""By an account whose requests got into that process."""
_ROLE: Final = re.compile(r"arn:aws[a-z-]*:iam::(\d{12}):role/.{1,512}")


async def answer(
    caller: Caller | None, head: frames.Head, body: bytes, served: Set[str]
) -> tuple[dict[str, Any], bytes]:
    """The head and body of the frame that answers a call. `served`: accounts whose requests got into the process."""
    try:
        async with asyncio.timeout(CALL_S):
            result = await _called(caller, head, body, served)
    except ApiError as error:
        hopeless = error.status is None or error.status < 500 or error.status == 501
        kind = "refused" if hopeless else "failed"
        return {"failure": kind, "code": error.code, "message": error.message}, b""
    except (PlatformFault, TimeoutError) as error:
        return {"failure": "failed", "message": str(error) or "no answer in time"}, b""
    return {}, msgspec.msgpack.encode(result)


async def _called(caller: Caller | None, head: frames.Head, body: bytes, served: Set[str]) -> Result:
    source = Source(head["source"], head["source"].split(":")[4])
    if caller is None or not _may(head, source, served):
        what = f"{head['service']} {head['operation']} by {head['principal']}"
        raise ApiError("NotImplementedException", f"{what} is not carried from moto's process.", status=501)
    by_role = head["principal"] not in CARRIED
    result = await caller.call(
        head["service"],
        head["operation"],
        msgspec.msgpack.decode(body),
        account=head["account"],
        region=head["region"],
        principal=head["principal"],
        source=None if by_role else source,
        trace_header=head["trace_header"],
    )
    if result.get("ContentLength", 0) > REPLY_BYTES:
        raise ApiError("NotImplementedException", f"Objects of more than {REPLY_BYTES} bytes are not read.", status=501)
    return {name: await _whole(value) for name, value in result.items()}


async def _whole(value: Any) -> Any:
    return await value.read() if isinstance(value, AsyncIterator) and hasattr(value, "read") else value


def _may(head: frames.Head, source: Source, served: Set[str]) -> bool:
    asked = (head["service"], head["operation"])
    if asked in OWN:
        account: str = head["account"]
        return account in served and bool(head["principal"] == f"arn:aws:iam::{account}:root")
    if head["principal"] in CARRIED:
        return asked in CARRIED[head["principal"]]
    role = _ROLE.fullmatch(head["principal"])
    # Rules use roles, of their own account, and act in it.
    return role is not None and role[1] == source.account == head["account"] and asked in CARRIED[EVENTS]
