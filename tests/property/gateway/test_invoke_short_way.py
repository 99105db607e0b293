"""The short way of Invoke and the long way are one: same parameters, same reply, or the short way steps aside."""

from typing import Any
from urllib.parse import quote

from hypothesis import given, settings
from hypothesis import strategies as st

from lambent.aws.errors import ApiError
from lambent.aws.models import service_model
from lambent.aws.service import Service
from lambent.aws.validation import failures
from lambent.gateway.dispatch import Api
from lambent.gateway.http import HttpRequest
from lambent.gateway.invoke import InvokeShortWay
from lambent.gateway.quirks import quirks_of, refusal

MODEL = service_model("lambda")
SHORT = InvokeShortWay(MODEL)
LONG = Api(Service("lambda", {}))
INVOKE = MODEL.operation_model("Invoke")

NAMES = st.one_of(
    st.text(st.sampled_from("abcXYZ019-_"), min_size=1, max_size=8),
    st.builds(
        "arn:aws:lambda:{}:{}:function:{}{}".format,
        st.sampled_from(["us-east-1", "eu-west-3", "cn-north-1", "us-gov-east-1"]),
        st.sampled_from(["123456789012", "12", ""]),
        st.sampled_from(["f", "a-b_c", "a.b", ""]),
        st.sampled_from(["", ":$LATEST", ":7", ":live", ":$LATEST.PUBLISHED"]),
    ),
    st.text(max_size=6),
)
LABELS = st.one_of(NAMES.map(lambda name: quote(name, safe="")), NAMES.map(lambda name: quote(name, safe=":$")))
QUERIES = st.one_of(
    st.just(""),
    st.sampled_from(["Qualifier=7", "Qualifier=$LATEST", "Qualifier=%24LATEST", "Qualifier=a+b", "Qualifier=", "x=1",
                     "Qualifier=1&Qualifier=2", "qualifier=7", "Qualifier=%zz", "Qualifier=%ff"]),
)  # fmt: skip
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "x-amz-invocation-type": st.sampled_from(["RequestResponse", "Event", "DryRun", "event", ""]),
        "x-amz-log-type": st.sampled_from(["Tail", "None", "tail"]),
        "x-amz-client-context": st.sampled_from(["e30=", "", "not base64"]),
        "x-amz-tenant-id": st.sampled_from(["t", ""]),
        "x-amz-durable-execution-name": st.sampled_from(["n", "a b"]),
        "x-other": st.just("1"),
    },
)


@settings(max_examples=600, deadline=None, database=None)
@given(label=LABELS, query=QUERIES, headers=HEADERS, body=st.binary(max_size=8), slash=st.sampled_from(["", "/"]))
def test_the_short_way_parses_as_the_long_way(
    label: str, query: str, headers: dict[str, str], body: bytes, slash: str
) -> None:
    path = f"/2015-03-31/functions/{label}/invocations{slash}"
    request = HttpRequest("POST", path, query, headers, body, "")
    match = SHORT.match(request)
    if match is None:
        return
    assert match.parameters is not None
    short = {**match.parameters, **({"Payload": body} if body else {})}
    assert short == long_way(request)


def long_way(request: HttpRequest) -> dict[str, Any] | ApiError | None:
    match = LONG.router.match(request.method, request.path, request.query, None)
    assert match.operation.name == "Invoke"
    parameters = LONG.protocol.parse(match.operation, request, match.labels)
    error = refusal(quirks_of("lambda"), "Invoke", parameters, failures(INVOKE.input_shape, parameters))
    return error or parameters


def test_what_clients_usually_send_takes_the_short_way() -> None:
    for label in ("hello", "arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Ahello%3Alive"):
        for query in ("", "Qualifier=7", "Qualifier=%24LATEST"):
            path = f"/2015-03-31/functions/{label}/invocations"
            headers = {"x-amz-invocation-type": "RequestResponse", "x-amz-log-type": "Tail"}
            assert SHORT.match(HttpRequest("POST", path, query, headers, b"", "")) is not None


RESULTS = st.fixed_dictionaries(
    {},
    optional={
        "StatusCode": st.sampled_from([200, 202, 204]),
        "FunctionError": st.sampled_from(["Unhandled", None]),
        "LogResult": st.text(st.sampled_from("abc="), max_size=9),
        "ExecutedVersion": st.sampled_from(["$LATEST", "12"]),
        "DurableExecutionArn": st.just("arn:x"),
        "Payload": st.one_of(st.binary(max_size=9), st.none(), st.text(max_size=3)),
    },
)


@settings(max_examples=300, deadline=None, database=None)
@given(result=RESULTS)
def test_the_short_way_answers_as_the_long_way(result: dict[str, Any]) -> None:
    short = SHORT.serialise(result)
    if short is None:
        return
    long = LONG.protocol.serialise(INVOKE, result)
    assert (short.status, short.body) == (long.status, long.body)
    extra = quirks_of("lambda").reply_headers["Invoke"]
    assert sorted(short.headers) == sorted((*long.headers, *extra))
