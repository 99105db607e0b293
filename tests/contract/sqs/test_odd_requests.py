"""Every operation with members that are odd, wrong or merely unusual: never answered by a failure of ours."""

from typing import Any, Final

import orjson
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from lambent.aws.models import service_model
from lambent.aws.service import CallContext, Identity
from lambent.gateway.dispatch import answered
from lambent.gateway.http import HttpRequest
from lambent.gateway.protocols.json_body import document_of
from lambent.testing.aws_client import ACCOUNT, REGION, AsyncClient
from tests.contract.sqs.conftest import World
from tests.property.gateway.shape_values import SECONDS, structure

MODEL: Final = service_model("sqs")
OPERATIONS: Final = [MODEL.operation_model(name) for name in MODEL.operation_names]
URLS: Final = [f"http://localhost/{ACCOUNT}/orders", f"/{ACCOUNT}/orders.fifo", "orders", "nothing", "", "http://x/y/z"]
ARNS: Final = [f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}" for name in ("orders", "orders.fifo", "nothing", "\u00e9")]
NUMBERS: Final = st.sampled_from(["0", "1", "60", "1024", "-1", "1e9", "", "\u0663", "9" * 40])
JSON: Final = st.sampled_from(
    ["", "{}", "[]", "null", "[" * 3000, '{"Statement":1}', '{"redrivePermission":[]}', '{"maxReceiveCount":{}}',
     *(orjson.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 3}).decode() for arn in ARNS),
     '{"redrivePermission":"byQueue","sourceQueueArns":[{}]}', '{"maxReceiveCount":true,"deadLetterTargetArn":[1]}']
)  # fmt: skip
ATTRIBUTES: Final = st.dictionaries(
    st.sampled_from(
        ["VisibilityTimeout", "DelaySeconds", "MaximumMessageSize", "Policy", "RedrivePolicy", "RedriveAllowPolicy",
         "FifoQueue", "KmsMasterKeyId", "SqsManagedSseEnabled", "DeduplicationScope", "All", "x"]
    ),
    st.one_of(NUMBERS, JSON, st.sampled_from(["true", "queue", "alias/a"])),
    max_size=4,
)  # fmt: skip
USUAL: Final[dict[str, st.SearchStrategy[Any]]] = {
    "QueueUrl": st.sampled_from([*URLS[:3], *URLS]),
    "QueueName": st.sampled_from(["orders", "new", "new.fifo", "", "a b"]),
    "SourceArn": st.sampled_from(ARNS),
    "DestinationArn": st.sampled_from(ARNS),
    "TaskHandle": st.sampled_from(["", "e30=", "W10=", "bnVsbA==", "\u00e9"]),
    "NextToken": st.sampled_from(["", "%", "YQ==", "\u00e9", "/w=="]),
    "Attributes": ATTRIBUTES,
    "WaitTimeSeconds": st.sampled_from([0, -1, 21]),
    "ReceiptHandle": st.sampled_from(["", "garbage", "A" * 48, "\u00e9"]),
    "VisibilityTimeout": st.sampled_from([0, 1, -1, 2**31 - 1]),
    "MaxResults": st.sampled_from([0, 1, 10, 1000, 1001]),
}
MANY: Final = settings(
    max_examples=500,
    deadline=None,
    database=None,
    derandomize=True,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)


def requests() -> list[tuple[str, bytes]]:
    made: list[tuple[str, bytes]] = []

    @MANY
    @given(st.data())
    def script(data: st.DataObject) -> None:
        operation = data.draw(st.sampled_from(OPERATIONS))
        shape = operation.input_shape
        parameters = data.draw(structure(shape, SECONDS))
        known = {name: USUAL[name] for name in shape.members if name in USUAL}
        parameters |= data.draw(st.fixed_dictionaries({}, optional=known))
        if "QueueUrl" in shape.members and data.draw(st.booleans()):
            parameters["QueueUrl"] = URLS[0]
        made.append((operation.name, orjson.dumps(document_of(parameters, shape))))

    script()
    return made


async def test_no_request_is_answered_by_5xx(world: World, sqs: AsyncClient, queue: str, fifo: str) -> None:
    api = world.gateway.apis.by_name("sqs")
    assert api is not None
    context = CallContext(
        ACCOUNT, REGION, "id", Identity(ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root", ACCOUNT), "http://localhost"
    )
    seen = set()
    for name, body in requests():
        head = HttpRequest("POST", "/", "", {"x-amz-target": f"AmazonSQS.{name}"}, body, "http://localhost")
        response = await answered(api, head, api.call(context, api.match(head), head))
        seen.add((name, response.status))
        assert response.status < 500, (name, body, response.body)
    assert {name for name, _ in seen} == set(MODEL.operation_names)
    assert {200, 400, 404} <= {status for _, status in seen}
