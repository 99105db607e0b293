"""S3 as the gateway serves it: from the head of a request to its reply, with what no other service of AWS has.

Addresses in hosts and paths, four ways to sign, bodies that are read while they come, and errors with two ids. What
an operation does is the service's; what is decided here needs no more of it than `aws.buckets`.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from msgspec.structs import replace

from lambent.aws.buckets import BucketFacts
from lambent.aws.errors import ApiError
from lambent.aws.limits import PLAIN_REQUEST_BYTES
from lambent.aws.s3_ids import host_id
from lambent.aws.s3_ids import request_id as s3_request_id
from lambent.aws.service import ANYONE, CallContext, Parameters, Service
from lambent.aws.shapes import OperationModel
from lambent.aws.streams import Upload
from lambent.aws.validation import failures
from lambent.core.clock import Clock
from lambent.gateway.authenticate import Authenticator
from lambent.gateway.body import BodyReader
from lambent.gateway.dispatch import Api
from lambent.gateway.hosts import NO_SCRIPT_OF_OURS
from lambent.gateway.http import HttpRequest, HttpResponse
from lambent.gateway.protocols import xml_body
from lambent.gateway.protocols.rest_xml import CONTENT_TYPE, error_of
from lambent.gateway.quirks import s3 as quirks
from lambent.gateway.route import Match
from lambent.gateway.s3 import cross_origin, forms, payload
from lambent.gateway.s3.access import access_denied, check_owner, check_page, check_region
from lambent.gateway.s3.addressing import Address, address_of
from lambent.gateway.s3.conditions import condition_keys
from lambent.gateway.s3.routes import S3Routes
from lambent.gateway.s3.signatures import DEFAULT_REGION, Signed, signed

logger = logging.getLogger(__name__)

SERVER: Final = ("Server", "AmazonS3")


class S3Api(Api):
    def __init__(self, service: Service, clock: Clock) -> None:
        super().__init__(service)
        self._routes = S3Routes(self.model)
        self._buckets = service.buckets
        self._clock = clock
        self.own_way = self.serve

    async def serve(self, head: HttpRequest, body: BodyReader, authenticator: Authenticator) -> HttpResponse:
        """Raises `Disconnected`, and what is a bug."""
        cors: tuple[tuple[str, str], ...] = ()
        try:
            address = address_of(head.headers.get("host", ""), head.path)
            facts = await self._facts(address)
            if head.method == "OPTIONS":
                response = cross_origin.preflight(facts, head.headers, has_key=address.key is not None)
            else:
                cors = cross_origin.reply_headers(facts, head.method, head.headers)
                response = await self._answer(_Asked(head, address, facts, bool(cors)), body, authenticator)
        except ApiError as error:
            response = self.error_reply(head, error)
            return replace(response, headers=(*response.headers, *cors))
        return replace(response, headers=(*response.headers, *cors, *_ids(head), NO_SCRIPT_OF_OURS, SERVER))

    async def _facts(self, address: Address) -> BucketFacts | None:
        if self._buckets is None or address.bucket is None:
            return None
        return await self._buckets.facts(address.bucket)

    async def _answer(self, asked: "_Asked", body: BodyReader, authenticator: Authenticator) -> HttpResponse:
        head, address, facts = asked.head, asked.address, asked.facts
        if forms.is_form(head, address):
            return await self._post(asked, body, authenticator)
        signer = signed(head, address, authenticator, self._clock.now())
        head = replace(head, headers=signer.headers)
        match = self._routes.match(head.method, address, head.query, head.headers)
        name = match.operation.name
        self._check_nobody(asked, signer, name)
        check_owner(facts, head.headers)
        check_region(facts, name, address, signer.region, head.headers.get("host", ""))
        context = self._context(asked, signer)
        if name in self.service.streamed:
            upload = payload.upload_of(name, head.headers, body, signer.chunks)
            return await self.call(context, match, _of_content(head, upload), upload)
        request = replace(head, body=await self._read(match.operation, head, body, signer))
        return await self.call(context, match, request)

    def _check_nobody(self, asked: "_Asked", signer: Signed, operation: str) -> None:
        """Raises `ApiError`, also for a web page that may not. Who has signed nothing gets what the service gives."""
        nobody = signer.identity is ANYONE
        if nobody:
            bucket = asked.address.bucket
            if bucket is None or self._buckets is None:
                raise access_denied()
            if asked.facts is None:
                raise no_such_bucket(bucket)
            if "response-" in asked.head.query and operation == "GetObject":
                text = "Request specific response headers cannot be used for anonymous GET requests."
                raise ApiError("InvalidRequest", text, status=400)
        # What is open to nobody's requests is open to those of a page too.
        check_page(asked.head, trusted=nobody or signer.verified or asked.allowed_by_cors)

    def _context(self, asked: "_Asked", signer: Signed) -> CallContext:
        head, facts = asked.head, asked.facts
        anonymous = signer.identity is ANYONE and facts is not None
        region = signer.region or (facts.region if facts is not None else DEFAULT_REGION)
        return CallContext(
            account=facts.account if anonymous and facts is not None else signer.identity.account,
            region=region,
            request_id=s3_request_id(head.request_id),
            identity=signer.identity,
            base_url=head.base_url,
            trace_header=head.headers.get("x-amzn-trace-id"),
            source_ip=head.source_ip,
            conditions=partial(condition_keys, head, signer, self._clock.now),
        )

    async def _post(self, asked: "_Asked", body: BodyReader, authenticator: Authenticator) -> HttpResponse:
        """A form of a web page: its fields say what the headers of a PutObject say."""
        form = await forms.read(asked.head, body)
        signer = forms.signed(form, asked.address, authenticator, self._clock.now())
        self._check_nobody(asked, signer, "PutObject")
        if asked.facts is None and self._buckets is not None:
            raise no_such_bucket(asked.address.bucket or "")
        match = Match(self.model.operation_model("PutObject"), {"Bucket": asked.address.bucket or "", "Key": form.key})
        head = replace(asked.head, method="PUT", headers=form.headers(asked.head.headers), query="", body=b"")
        context = replace(self._context(asked, signer), by_form=True)
        response = await self.call(context, match, head, form.upload())
        return form.reply(response, asked.head.base_url, asked.address)

    async def _read(self, operation: OperationModel, head: HttpRequest, body: BodyReader, signer: Signed) -> bytes:
        if head.method in ("GET", "HEAD", "DELETE"):
            # A body is read past, whatever it is.
            return b""
        if payload.is_chunked(head.headers):
            upload = payload.upload_of(operation.name, head.headers, body, signer.chunks)
            content = b""
            async for chunk in upload:
                content += chunk
                if len(content) > PLAIN_REQUEST_BYTES:
                    raise quirks.malformed_xml()
            return content
        if (body.announced or 0) > PLAIN_REQUEST_BYTES:
            raise quirks.malformed_xml()
        content = await body.read(PLAIN_REQUEST_BYTES)
        if operation.http_checksum or "content-md5" in head.headers:
            await payload.checked(operation.name, head.headers, content)
        return content

    def _check(self, operation: OperationModel, parameters: Parameters) -> None:
        shape = operation.input_shape
        member = None if shape is None else shape.serialization.get("payload")
        for failure in failures(shape, parameters):
            error = quirks.refusal(operation.name, failure, member)
            if error is not None:
                raise error

    def error_reply(self, request: HttpRequest, error: ApiError, request_id: str = "") -> HttpResponse:
        error = _in_words_of_s3(error)
        ids = _ids(request)
        more = (("RequestId", ids[0][1]), ("HostId", ids[1][1]))
        status, content = error_of(self.model, error, *more)
        # A HEAD has a status alone.
        silent = request.method == "HEAD" or status == 304
        body = b"" if silent else xml_body.document("Error", "", content)
        types = () if status == 304 else (CONTENT_TYPE,)
        return HttpResponse(status, (*types, *error.headers.items(), *ids, SERVER), body)


@dataclass(frozen=True, slots=True)
class _Asked:
    head: HttpRequest
    address: Address
    facts: BucketFacts | None
    """None for a bucket that does not exist, and where nobody knows."""
    allowed_by_cors: bool


def no_such_bucket(name: str) -> ApiError:
    text = "The specified bucket does not exist"
    return ApiError("NoSuchBucket", text, status=404, members={"BucketName": name})


def _of_content(head: HttpRequest, upload: Upload) -> HttpRequest:
    """As if the content had come without any encoding for the way."""
    headers = {**head.headers, "content-length": str(upload.length_bytes)}
    encodings = [part.strip() for part in headers.get("content-encoding", "").split(",")]
    kept = [part for part in encodings if part and part != "aws-chunked"]
    if kept:
        headers["content-encoding"] = ",".join(kept)
    else:
        headers.pop("content-encoding", None)
    return replace(head, headers=headers, body=b"")


def _ids(head: HttpRequest) -> tuple[tuple[str, str], tuple[str, str]]:
    found = s3_request_id(head.request_id)
    return ("x-amz-request-id", found), ("x-amz-id-2", host_id(found))


_WORDS: Final[Mapping[str, tuple[str, str, int]]] = {
    "ServiceException": ("InternalError", "We encountered an internal error. Please try again.", 500),
    "MissingAuthenticationTokenException": ("AccessDenied", "Access Denied", 403),
    "AccessDeniedException": ("AccessDenied", "Access Denied", 403),
    "ExpiredTokenException": ("ExpiredToken", "The provided token has expired.", 400),
    "UnrecognizedClientException": (
        "InvalidAccessKeyId",
        "The AWS Access Key Id you provided does not exist in our records.",
        403,
    ),
    "NotImplementedException": ("NotImplemented", "", 501),
    "ServiceUnavailableException": ("ServiceUnavailable", "", 503),
}
"""What parts that know no service say, and what S3 says for it; without a text its own is kept."""


def _in_words_of_s3(error: ApiError) -> ApiError:
    words = _WORDS.get(error.code)
    if words is None:
        return error
    code, text, status = words
    return ApiError(code, text or error.message, status=status, members=error.members, headers=error.headers)
