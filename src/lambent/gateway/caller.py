"""Implements `aws.caller.Caller`: our services are called in the process, all others over their own protocol.

Nothing of HTTP happens for a service of ours: the same validation, the same handler, the result as it is. For another
service botocore writes the request and reads the reply, as it would in a client.
"""

from dataclasses import replace
from typing import Final

from lambent.aws.errors import ApiError, PlatformFault, not_built
from lambent.aws.models import UnknownService as NoSuchModel
from lambent.aws.models import service_model
from lambent.aws.outside import Outside, UnknownService
from lambent.aws.service import CallContext, Identity, Parameters, Result, Source
from lambent.aws.shapes import OperationModel
from lambent.core.ids import uuid4
from lambent.gateway.dispatch import Apis
from lambent.gateway.elsewhere import Elsewhere

_OUR_URL: Final = "http://localhost"


class InProcessCaller:
    """`apis` is given once it is made: the services in it may need this caller."""

    def __init__(self, elsewhere: Elsewhere, base_url: str = _OUR_URL) -> None:
        """`base_url`: by which results name this server, where they do."""
        self.apis = Apis({})
        self._elsewhere = elsewhere
        self._base_url = base_url

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
        try:
            model = service_model(service)
        except NoSuchModel as error:
            raise not_built(operation, f"The service {service}") from error
        if operation not in model.operation_names:
            raise not_built(operation)
        described = model.operation_model(operation)
        api = self.apis.by_name(service)
        outside = self._elsewhere.redirected(model.signing_name)
        if outside is None and api is not None and not api.leaves(operation):
            identity = Identity(account, principal, account)
            context = CallContext(
                account, region, uuid4(), identity, self._base_url, trace_header=trace_header, source=source
            )
            return await api.call_in_process(context, operation, parameters)
        outside = outside or self._elsewhere.neighbour
        if outside is None:
            raise not_built(operation, f"The service {service}")
        return await _call_outside(outside, described, parameters, trace_header, account=account, region=region)


async def _call_outside(
    outside: Outside,
    operation: OperationModel,
    parameters: Parameters,
    trace_header: str | None,
    *,
    account: str,
    region: str,
) -> Result:
    # Here and not above: botocore's writers and readers take 3 MB, and a server that calls nobody needs none.
    from lambent.gateway import foreign

    model = operation.service_model
    request = foreign.request(operation, parameters, account=account, region=region)
    if trace_header is not None:
        request = replace(request, headers={**request.headers, "x-amzn-trace-id": trace_header})
    try:
        reply = await outside.forward(request)
    except UnknownService as error:
        raise not_built(operation.name, f"The service {model.service_name}") from error
    except ApiError as error:
        if error.code == "NotImplementedException":
            raise
        raise PlatformFault(f"{model.service_name} {operation.name}: {error.message}") from error
    return foreign.result(operation, reply)
