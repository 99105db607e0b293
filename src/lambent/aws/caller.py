"""How parts of Lambent call AWS services: in the process, without HTTP, with the same validation and the same errors.

Services meet each other and Lambda only through this. Whether a service is ours, moto's or a real endpoint's is not
the business of the one who calls.
"""

from typing import Protocol

from lambent.aws.service import Parameters, Result, Source


class Caller(Protocol):
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
        """Call `operation` of botocore's `service` in `account` and `region`, on behalf of `principal`.

        `principal` is the ARN of a role or user, or a service principal such as `lambda.amazonaws.com`, which says with
        `source` for which resource it comes. `trace_header` carries on the chain of a call (`X-Amzn-Trace-Id`).
        Parameters and result are keyed by the members of the model. A streaming body may be given as `bytes` or as an
        `aws.streams.Upload`; in a result it is a `Download` or `bytes`, and `aws.streams.whole` reads either.

        Raises `ApiError` with the code, message and status of the service; NotImplementedException 501 for a service
        or operation that is not built; `PlatformFault` when the service cannot be reached.
        """
        ...
