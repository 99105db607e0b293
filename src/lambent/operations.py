"""Which AWS services a server has, and the table of Lambda's operations, which three parts make together.

`app` serves them; `testing.registered` lists them, without what runs functions.
"""

from lambent.aws.service import Handler, Operations, Service
from lambent.event_sources.mappings import EventSourceMappings
from lambent.functions.admission import admitted
from lambent.functions.api import options
from lambent.functions.control_plane import ControlPlane
from lambent.invocation.api import Invocation
from lambent.services.logs.service import LogsService
from lambent.services.s3.lazily import PARTIAL, S3, STREAMED
from lambent.services.sqs.service import SqsService
from lambent.services.sts.service import StsService


def lambda_operations(
    control_plane: ControlPlane, mappings: EventSourceMappings, invocation: Invocation
) -> dict[str, Handler]:
    """One table of three parts, all behind the policies of the functions that they name."""
    others = {**mappings.operations(), **invocation.operations()}
    return {
        **control_plane.operations(),
        **admitted(others, control_plane.authorizer),
        # These ask policies themselves, with the look-up that they do anyway.
        "Invoke": invocation.invoke,
        "InvokeWithResponseStream": invocation.invoke_with_response_stream,
    }


def services(
    lambda_operations: Operations, logs: LogsService, sts: StsService, sqs: SqsService, s3: S3
) -> dict[str, Service]:
    """The AWS services of a server; the gateway serves these, and `docs/coverage.md` lists them."""
    return {
        "lambda": Service("lambda", lambda_operations, options.partial),
        "logs": Service("logs", logs.operations()),
        "s3": Service("s3", s3, lambda: PARTIAL, streamed=STREAMED, buckets=s3),
        "sts": Service("sts", sts.operations(), shared=True),
        "sqs": Service("sqs", sqs.operations(), waiting=frozenset({"ReceiveMessage"})),
    }
